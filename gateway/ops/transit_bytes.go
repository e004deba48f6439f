package ops

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"strconv"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

type hmacIn struct {
	key
	Input      call.Secret `json:"input" jsonschema:"what to digest, in base64 unless encoding is utf-8"`
	Encoding   string      `json:"encoding,omitzero" jsonschema:"how the input is written"`
	Algorithm  string      `json:"algorithm,omitzero" jsonschema:"the hash function"`
	KeyVersion int         `json:"key_version,omitzero" jsonschema:"the key's version, absent for the latest"`
}

// Target implements op.Target.
func (in *hmacIn) Target(at op.At) (call.Resource, error) {
	if _, err := toBase64(in.Input, in.Encoding, "input"); err != nil {
		return call.Resource{}, err
	}
	return in.key.Target(at)
}

type hmacOut struct {
	HMAC     string `json:"hmac" jsonschema:"the keyed digest, which names the version of its key"`
	Encoding string `json:"encoding" jsonschema:"how the input was read"`
}

// Complete implements vault.Reply.
func (o *hmacOut) Complete() bool { return isMade(o.HMAC) }

func hmac(ctx context.Context, s *vault.Session, in hmacIn) (out hmacOut, err error) {
	b64, err := toBase64(in.Input, in.Encoding, "input")
	if err != nil {
		return out, err
	}
	body := map[string]any{"input": b64}
	if in.Algorithm != "" {
		body["algorithm"] = in.Algorithm
	}
	if in.KeyVersion != 0 {
		body["key_version"] = in.KeyVersion
	}
	err = s.Put(ctx, "hmac/"+string(in.Key), body, &out)
	out.Encoding = taken(in.Encoding)
	return out, err
}

type datakeyIn struct {
	key
	Type    string      `json:"type,omitzero" jsonschema:"plaintext for the key in the clear as well"`
	Bits    int         `json:"bits,omitzero" jsonschema:"128, 256 or 512; absent for 256"`
	Context call.Secret `json:"context,omitzero" jsonschema:"base64; for derived keys; needed again to decrypt"`
	Format  string      `json:"format,omitzero" jsonschema:"how the plaintext is returned"`
}

// Target implements op.Target.
func (in *datakeyIn) Target(at op.At) (call.Resource, error) {
	switch in.Bits {
	case 0:
		in.Bits = 256
	case 128, 256, 512:
	default:
		return call.Resource{}, call.Errorf(call.InvalidRequest, "argument bits: must be 128, 256 or 512")
	}
	if err := isBase64(in.Context, "context"); err != nil {
		return call.Resource{}, err
	}
	return in.key.Target(at)
}

type datakeyOut struct {
	Ciphertext string       `json:"ciphertext" jsonschema:"the new key, encrypted; decrypt it when it is needed"`
	KeyVersion int          `json:"key_version" jsonschema:"the version of the key that it is encrypted with"`
	Plaintext  *call.Secret `json:"plaintext,omitzero" jsonschema:"the new key in the clear"`
}

// datakeyReply is what Vault answers with a new key.
type datakeyReply struct {
	Ciphertext string `json:"ciphertext"`
	KeyVersion int    `json:"key_version"`
	Plaintext  string `json:"plaintext"`

	clear int // bytes that were asked for in the clear as well
}

// Complete implements vault.Reply.
func (r *datakeyReply) Complete() bool {
	return isMade(r.Ciphertext) && (r.clear == 0 || length(r.Plaintext, "base64") == r.clear)
}

// length is how many bytes a text in base64 or hex stands for, -1 for one that is neither.
func length(text, format string) int {
	decode := base64.StdEncoding.DecodeString
	if format == "hex" {
		decode = hex.DecodeString
	}
	raw, err := decode(text)
	if err != nil {
		return -1
	}
	return len(raw)
}

func datakey(ctx context.Context, s *vault.Session, in datakeyIn) (datakeyOut, error) {
	kind := in.Type
	if kind == "" {
		kind = "wrapped"
	}
	body := map[string]any{"bits": in.Bits}
	put(body, "context", in.Context)
	var reply datakeyReply
	if kind == "plaintext" {
		reply.clear = in.Bits / 8
	}
	if err := s.Put(ctx, "datakey/"+kind+"/"+string(in.Key), body, &reply); err != nil {
		return datakeyOut{}, err
	}
	out := datakeyOut{Ciphertext: reply.Ciphertext, KeyVersion: reply.KeyVersion}
	var err error
	if kind == "plaintext" {
		out.Plaintext, err = decode(reply.Plaintext, in.Format)
	}
	return out, err
}

type randomIn struct {
	Bytes  int    `json:"bytes,omitzero" jsonschema:"how many, absent for 32"`
	Format string `json:"format,omitzero" jsonschema:"how they are returned"`
}

// Target implements op.Target.
func (in *randomIn) Target(op.At) (call.Resource, error) {
	if in.Bytes == 0 {
		in.Bytes = 32
	}
	if in.Format == "" {
		in.Format = "base64"
	}
	return call.Resource{}, nil
}

type randomOut struct {
	Random call.Secret `json:"random" jsonschema:"the bytes"`
	Format string      `json:"format" jsonschema:"how they are written"`
}

// randomReply is what Vault answers with random bytes.
type randomReply struct {
	RandomBytes string `json:"random_bytes"`

	asked randomIn
}

// Complete implements vault.Reply.
func (r *randomReply) Complete() bool { return length(r.RandomBytes, r.asked.Format) == r.asked.Bytes }

func randomBytes(ctx context.Context, s *vault.Session, in randomIn) (randomOut, error) {
	reply := randomReply{asked: in}
	err := s.Query(ctx, "random/"+strconv.Itoa(in.Bytes), map[string]string{"format": in.Format}, &reply)
	return randomOut{call.Secret(reply.RandomBytes), in.Format}, err
}

type hashIn struct {
	Input     call.Secret `json:"input" jsonschema:"what to digest, in base64 unless encoding is utf-8"`
	Encoding  string      `json:"encoding,omitzero" jsonschema:"how the input is written"`
	Algorithm string      `json:"algorithm,omitzero" jsonschema:"the hash function"`
	Format    string      `json:"format,omitzero" jsonschema:"how the digest is returned"`
}

// Target implements op.Target.
func (in *hashIn) Target(op.At) (call.Resource, error) {
	if in.Algorithm == "" {
		in.Algorithm = "sha2-256"
	}
	if in.Format == "" {
		in.Format = "hex"
	}
	_, err := toBase64(in.Input, in.Encoding, "input")
	return call.Resource{}, err
}

type hashOut struct {
	Sum      string `json:"sum" jsonschema:"the digest"`
	Encoding string `json:"encoding" jsonschema:"how the input was read"`
}

// Complete implements vault.Reply.
func (o *hashOut) Complete() bool { return o.Sum != "" }

func hash(ctx context.Context, s *vault.Session, in hashIn) (out hashOut, err error) {
	b64, err := toBase64(in.Input, in.Encoding, "input")
	if err != nil {
		return out, err
	}
	err = s.Query(ctx, "hash/"+in.Algorithm, map[string]string{"input": b64, "format": in.Format}, &out)
	out.Encoding = taken(in.Encoding)
	return out, err
}
