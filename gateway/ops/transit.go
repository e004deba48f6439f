package ops

import (
	"maps"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// limits are constraints by argument.
type limits = map[string]op.Limit

// transit is encryption as a service (Vault API, secret/transit). No operation makes
// a key: the gateway's policies grant "update" alone, and see noSuchType.
func transit(at place) []*op.Op {
	spec := func(name string, effect op.Effect, title, doc string, l limits) op.Spec {
		return op.Spec{
			Name: "transit." + name, Engine: "transit", Mount: at.mount, More: at.more,
			Effect: effect, Idempotent: effect == op.Read,
			Method: "POST", Path: "/transit/" + name, Title: title, Doc: doc, Limits: l,
			Needs: need(name+"/{name}", "update"),
		}
	}
	unnamed := func(s op.Spec) op.Spec {
		s.Unnamed, s.Needs = true, need(strings.TrimPrefix(s.Name, "transit.")+"/*", "update")
		return s
	}
	random := spec("random", op.Read, "Random bytes", "Make random bytes.",
		limits{"bytes": {Min: new(1.0), Max: new(65536.0), Default: 32}, "format": oneOf("base64", "hex")})
	random.Method, random.Idempotent = "GET", false
	key := spec("datakey", op.Write, "Make a data key",
		"Make a new key, encrypted with a named key.",
		limits{"type": oneOf("wrapped", "plaintext"), "format": oneOf("base64", "hex")})
	key.Needs = append(need("datakey/wrapped/{name}", "update"), need("datakey/plaintext/{name}", "update")...)
	public := spec("public_key", op.Read, "Read a public key",
		"Read the public halves of a named key as PEM, to verify or encrypt without asking.",
		limits{"version": notNegative()})
	public.Method, public.Path, public.Needs = "GET", "/transit/public_key/:key", need("keys/{name}", "read")
	return []*op.Op{
		op.New(spec("encrypt", op.Write, "Encrypt",
			"Encrypt a plaintext, or each of a batch, with a named key.",
			limits{"encoding": encodings(), "key_version": notNegative(), "items": batchLimit()}), encrypt),
		op.New(spec("decrypt", op.Read, "Decrypt",
			"Decrypt a ciphertext, or each of a batch.",
			limits{"encoding": encodings("hex"), "items": batchLimit()}), decrypt),
		op.New(spec("rewrap", op.Write, "Rewrap",
			"Encrypt a ciphertext, or each of a batch, anew with the latest version of its key.",
			limits{"key_version": notNegative(), "items": batchLimit()}), rewrap),
		op.New(named(spec("sign", op.Write, "Sign",
			"Sign an input, or each of a batch, with a named key.",
			signing(limits{"key_version": notNegative()})), "algorithm", "hash_algorithm"), sign),
		op.New(named(spec("verify", op.Read, "Verify",
			"Say whether a signature or an HMAC, or each of a batch, is that of its input.",
			signing(limits{"signature": {MaxBytes: maxProof}, "hmac": {MaxBytes: maxProof}})), "algorithm", "hash_algorithm"), verify),
		op.New(named(spec("hmac", op.Write, "HMAC",
			"Compute the keyed digest of an input.",
			limits{"encoding": encodings(), "algorithm": hashes(), "key_version": notNegative()}), "hash_algorithm", "algorithm"), hmac),
		op.New(key, datakey),
		op.New(unnamed(random), randomBytes),
		op.New(public, publicKeys),
		op.New(unnamed(named(spec("hash", op.Read, "Hash",
			"Compute the digest of an input.",
			limits{"encoding": encodings(), "algorithm": hashes(), "format": oneOf("hex", "base64")}), "hash_algorithm", "algorithm")), hash),
	}
}

// named gives an argument another name: Vault calls the hash function algorithm in one
// place and hash_algorithm in the other.
func named(s op.Spec, alias, name string) op.Spec {
	s.Aliases = map[string]string{alias: name}
	return s
}

// encodings are how bytes are written. Without one they are base64, as in Vault's own
// API; utf-8 is plain text, text its old name.
func encodings(more ...string) op.Limit {
	l := oneOf(append([]string{"base64", "utf-8", "text"}, more...)...)
	l.Aliases = map[string]string{"text": "utf-8", "utf8": "utf-8", "plain": "utf-8"}
	return l
}

// oneOf allows the values given; the first is the default.
func oneOf(values ...string) op.Limit { return op.Limit{Enum: values, Default: values[0]} }

// maxProof bounds a signature, in bytes: the longest one (FIPS 205) in base64.
const maxProof = 64 << 10

func batchLimit() op.Limit { return op.Limit{MaxItems: maxBatch} }

// hashes are the algorithms of hmac and hash (Vault API, transit).
func hashes() op.Limit {
	l := oneOf("sha2-256", "sha2-224", "sha2-384", "sha2-512", "sha3-224", "sha3-256", "sha3-384", "sha3-512")
	l.Aliases = map[string]string{}
	for _, bits := range []string{"224", "256", "384", "512"} {
		l.Aliases["sha"+bits], l.Aliases["sha-"+bits] = "sha2-"+bits, "sha2-"+bits
	}
	return l
}

// signing adds the limits that sign and verify share.
func signing(more limits) limits {
	algorithms := hashes()
	algorithms.Enum = append(algorithms.Enum, "sha1", "none")
	l := limits{
		"encoding":             encodings(),
		"items":                batchLimit(),
		"hash_algorithm":       algorithms,
		"signature_algorithm":  {Enum: []string{"pss", "pkcs1v15"}},
		"marshaling_algorithm": oneOf("asn1", "jws"),
	}
	maps.Copy(l, more)
	return l
}

// key is the target of every operation with a named key.
type key struct {
	Key call.Name `json:"key" jsonschema:"name of the key"`
}

// Target implements op.Target.
func (k *key) Target(op.At) (call.Resource, error) {
	p, err := call.ParsePath(string(k.Key))
	return call.Resource{Path: p}, err
}
