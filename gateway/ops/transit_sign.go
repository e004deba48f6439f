package ops

import (
	"context"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// scheme is how a signature is made (Vault API, transit/sign).
type scheme struct {
	HashAlgorithm       string `json:"hash_algorithm,omitzero" jsonschema:"none only for a prehashed input with pkcs1v15"`
	Prehashed           bool   `json:"prehashed,omitzero" jsonschema:"whether the input is a digest"`
	SignatureAlgorithm  string `json:"signature_algorithm,omitzero" jsonschema:"for RSA keys"`
	MarshalingAlgorithm string `json:"marshaling_algorithm,omitzero" jsonschema:"for ECDSA keys: form of the signature"`
}

// opts are the options beside the items of a batch; absent ones are Vault's choice.
func (s scheme) opts() map[string]any {
	o := map[string]any{}
	for name, v := range map[string]string{
		"hash_algorithm":       s.HashAlgorithm,
		"signature_algorithm":  s.SignatureAlgorithm,
		"marshaling_algorithm": s.MarshalingAlgorithm,
	} {
		if v != "" {
			o[name] = v
		}
	}
	if s.Prehashed {
		o["prehashed"] = true
	}
	return o
}

type signItem struct {
	Input   *call.Secret `json:"input,omitzero" jsonschema:"what to sign, in base64 unless encoding is utf-8"`
	Context call.Secret  `json:"context,omitzero" jsonschema:"base64; a derived key needs it"`
}

// check holds the single form, or what a batch has in common, before the decision.
func (s signItem) check(encoding string, items int, given bool) error {
	if err := oneForm(s.Input != nil, "input", items, given); err != nil {
		return err
	}
	if s.Input != nil {
		if _, err := toBase64(*s.Input, encoding, "input"); err != nil {
			return err
		}
	}
	return isBase64(s.Context, "context")
}

type signIn struct {
	key
	signItem
	scheme
	KeyVersion int             `json:"key_version,omitzero" jsonschema:"the key's version, absent for the latest"`
	Encoding   string          `json:"encoding,omitzero" jsonschema:"how inputs are written"`
	Items      batch[signItem] `json:"items,omitzero" jsonschema:"a batch, instead of input"`
}

// Target implements op.Target.
func (in *signIn) Target(at op.At) (call.Resource, error) {
	if err := in.check(in.Encoding, len(in.Items), in.Items != nil); err != nil {
		return call.Resource{}, err
	}
	return in.key.Target(at)
}

func (in *signIn) item(one signItem) item {
	if one.Input == nil {
		return item{bad: "the item has no input"}
	}
	b64, err := toBase64(*one.Input, in.Encoding, "input")
	if err == nil {
		err = isBase64(one.Context, "context")
	}
	if err != nil {
		return item{bad: call.AsError(err).Msg}
	}
	f := map[string]any{"input": b64}
	put(f, "context", one.Context, in.Context)
	return item{fields: f}
}

type signed struct {
	Signature  string `json:"signature,omitzero" jsonschema:"the signature, which names the version of its key"`
	KeyVersion int    `json:"key_version,omitzero" jsonschema:"the version of the key"`
}

type signedItem struct {
	signed
	Error *itemError `json:"error,omitzero" jsonschema:"what is wrong with this item, absent when nothing is"`
}

type signOut struct {
	signed
	Encoding string       `json:"encoding" jsonschema:"how the input was read"`
	Results  []signedItem `json:"results,omitzero" jsonschema:"one result for each item of a batch, in their order"`
}

func sign(ctx context.Context, s *vault.Session, in signIn) (out signOut, err error) {
	j := job{send: s.Put, has: hasSignature, path: "sign/" + string(in.Key), opts: in.opts()}
	out.Encoding = taken(in.Encoding)
	if in.KeyVersion != 0 {
		j.opts["key_version"] = in.KeyVersion
	}
	if in.Items == nil {
		j.items = []item{in.item(in.signItem)}
		r, err := j.single(ctx)
		out.signed = signed{r.Signature, r.KeyVersion}
		return out, err
	}
	for _, one := range in.Items {
		j.items = append(j.items, in.item(one))
	}
	replies, err := j.run(ctx)
	for _, r := range replies {
		out.Results = append(out.Results, signedItem{signed{r.Signature, r.KeyVersion}, r.err})
	}
	return out, err
}

type verifyItem struct {
	signItem
	Signature string `json:"signature,omitzero" jsonschema:"the signature, vault:v1:..."`
	HMAC      string `json:"hmac,omitzero" jsonschema:"the HMAC, vault:v1:..., instead of a signature"`
}

type verifyIn struct {
	key
	verifyItem
	scheme
	Encoding string            `json:"encoding,omitzero" jsonschema:"how inputs are written"`
	Items    batch[verifyItem] `json:"items,omitzero" jsonschema:"a batch, instead of input and signature; all signatures or all HMACs"`
}

// Target implements op.Target.
func (in *verifyIn) Target(at op.At) (call.Resource, error) {
	if err := in.check(in.Encoding, len(in.Items), in.Items != nil); err != nil {
		return call.Resource{}, err
	}
	if in.Items == nil && (in.Signature == "") == (in.HMAC == "") {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "give either signature or hmac")
	}
	return in.key.Target(at)
}

// kind is what a verification is about: Vault refuses a batch that mixes both, so
// the first item says it.
func (in *verifyIn) kind() string {
	first := in.verifyItem
	if in.Items != nil {
		first = in.Items[0]
	}
	if first.HMAC != "" {
		return "hmac"
	}
	return "signature"
}

// proof is what the item shows, empty when it is not of the kind.
func (v verifyItem) proof(kind string) string {
	if kind == "hmac" {
		return v.HMAC
	}
	return v.Signature
}

func (in *verifyIn) item(one verifyItem, kind string) item {
	it := (&signIn{Encoding: in.Encoding, signItem: in.signItem}).item(one.signItem)
	proof := one.proof(kind)
	if !strings.HasPrefix(proof, "vault:v") && it.bad == "" {
		it.bad = "the item has no " + kind + " of Vault's form"
	}
	if it.bad == "" {
		it.fields[kind] = proof
	}
	return it
}

type verdict struct {
	Valid *bool `json:"valid,omitzero" jsonschema:"whether it is"`
}

type verdictItem struct {
	verdict
	Error *itemError `json:"error,omitzero" jsonschema:"what is wrong with this item, absent when nothing is"`
}

type verifyOut struct {
	verdict
	Encoding string        `json:"encoding" jsonschema:"how the input was read"`
	Results  []verdictItem `json:"results,omitzero" jsonschema:"one result for each item of a batch, in their order"`
}

func verify(ctx context.Context, s *vault.Session, in verifyIn) (out verifyOut, err error) {
	j := job{send: s.Query, has: hasVerdict, path: "verify/" + string(in.Key), opts: in.opts()}
	out.Encoding = taken(in.Encoding)
	if in.Items == nil {
		j.items = []item{in.item(in.verifyItem, in.kind())}
		r, err := j.single(ctx)
		out.Valid = r.Valid
		return out, err
	}
	kind := in.kind()
	for _, one := range in.Items {
		j.items = append(j.items, in.item(one, kind))
	}
	replies, err := j.run(ctx)
	for _, r := range replies {
		v := verdictItem{Error: r.err}
		if r.err == nil {
			v.Valid = r.Valid
		}
		out.Results = append(out.Results, v)
	}
	return out, err
}
