package ops

import (
	"cmp"
	"context"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// bound is what ties a ciphertext to its circumstances.
type bound struct {
	Context        call.Secret `json:"context,omitzero" jsonschema:"base64; for derived keys; needed again to decrypt"`
	AssociatedData call.Secret `json:"associated_data,omitzero" jsonschema:"base64; authenticated, not encrypted; needed again to decrypt"`
}

// check refuses what Vault could not read.
func (b bound) check() error {
	if err := isBase64(b.Context, "context"); err != nil {
		return err
	}
	return isBase64(b.AssociatedData, "associated_data")
}

// fields starts an item of batch_input; what it does not say itself is taken from
// the call.
func (b bound) fields(all bound) map[string]any {
	f := map[string]any{}
	put(f, "context", b.Context, all.Context)
	put(f, "associated_data", b.AssociatedData, all.AssociatedData)
	return f
}

type encryptItem struct {
	Plaintext *call.Secret `json:"plaintext,omitzero" jsonschema:"what to encrypt, in base64 unless encoding is utf-8"`
	bound
	KeyVersion int `json:"key_version,omitzero" jsonschema:"the key's version, absent for the latest"`
}

type encryptIn struct {
	key
	encryptItem
	Encoding string             `json:"encoding,omitzero" jsonschema:"how plaintexts are written"`
	Items    batch[encryptItem] `json:"items,omitzero" jsonschema:"a batch, instead of plaintext"`
}

// Target implements op.Target.
func (in *encryptIn) Target(at op.At) (call.Resource, error) {
	if err := oneForm(in.Plaintext != nil, "plaintext", len(in.Items), in.Items != nil); err != nil {
		return call.Resource{}, err
	}
	if err := in.bound.check(); err != nil {
		return call.Resource{}, err
	}
	if in.Plaintext != nil {
		if _, err := toBase64(*in.Plaintext, in.Encoding, "plaintext"); err != nil {
			return call.Resource{}, err
		}
	}
	return in.key.Target(at)
}

func (in *encryptIn) item(one encryptItem) item {
	if one.Plaintext == nil {
		return item{bad: "the item has no plaintext"}
	}
	b64, err := toBase64(*one.Plaintext, in.Encoding, "plaintext")
	if err == nil {
		err = one.check()
	}
	if err != nil {
		return item{bad: call.AsError(err).Msg}
	}
	f := one.fields(in.bound)
	f["plaintext"] = b64
	if v := cmp.Or(one.KeyVersion, in.KeyVersion); v != 0 {
		f["key_version"] = v
	}
	return item{fields: f}
}

type sealed struct {
	Ciphertext string `json:"ciphertext,omitzero" jsonschema:"the ciphertext, which names the version of its key"`
	KeyVersion int    `json:"key_version,omitzero" jsonschema:"the version of the key"`
}

type sealedItem struct {
	sealed
	Error *itemError `json:"error,omitzero" jsonschema:"what is wrong with this item, absent when nothing is"`
}

type sealedOut struct {
	sealed
	Encoding string       `json:"encoding,omitzero" jsonschema:"how the plaintext was read"`
	Results  []sealedItem `json:"results,omitzero" jsonschema:"one result for each item of a batch, in their order"`
}

// noSuchType is no type of key. Vault reads the field type only when it is about to
// make a key that does not exist, which a token with the capability "create", such
// as a root token, would let it do; so a call that names a key never makes one.
const noSuchType = "none"

func encrypt(ctx context.Context, s *vault.Session, in encryptIn) (sealedOut, error) {
	j := job{send: s.Put, has: hasCiphertext, path: "encrypt/" + string(in.Key), opts: map[string]any{"type": noSuchType, partial: 200}}
	var out sealedOut
	var err error
	if in.Items == nil {
		j.items = []item{in.item(in.encryptItem)}
		out, err = sealOne(ctx, j)
	} else {
		for _, one := range in.Items {
			j.items = append(j.items, in.item(one))
		}
		out, err = sealAll(ctx, j)
	}
	out.Encoding = taken(in.Encoding)
	return out, err
}

func sealOne(ctx context.Context, j job) (sealedOut, error) {
	r, err := j.single(ctx)
	return sealedOut{sealed: sealed{r.Ciphertext, r.KeyVersion}}, err
}

func sealAll(ctx context.Context, j job) (out sealedOut, err error) {
	replies, err := j.run(ctx)
	for _, r := range replies {
		out.Results = append(out.Results, sealedItem{sealed{r.Ciphertext, r.KeyVersion}, r.err})
	}
	return out, err
}

type decryptItem struct {
	Ciphertext call.Secret `json:"ciphertext,omitzero" jsonschema:"what to decrypt, vault:v1:..."`
	bound
}

type decryptIn struct {
	key
	decryptItem
	Encoding string             `json:"encoding,omitzero" jsonschema:"how plaintexts are returned; text must be UTF-8"`
	Items    batch[decryptItem] `json:"items,omitzero" jsonschema:"a batch, instead of ciphertext"`
}

// Target implements op.Target.
func (in *decryptIn) Target(at op.At) (call.Resource, error) {
	if err := oneForm(in.Ciphertext != "", "ciphertext", len(in.Items), in.Items != nil); err != nil {
		return call.Resource{}, err
	}
	if err := in.bound.check(); err != nil {
		return call.Resource{}, err
	}
	return in.key.Target(at)
}

func (d decryptItem) item(all bound) item {
	f := d.fields(all)
	f["ciphertext"] = d.Ciphertext.Reveal()
	return item{fields: f}
}

type opened struct {
	Plaintext *call.Secret `json:"plaintext,omitzero" jsonschema:"what was encrypted"`
}

type openedItem struct {
	opened
	Error *itemError `json:"error,omitzero" jsonschema:"what is wrong with this item, absent when nothing is"`
}

type openedOut struct {
	opened
	Encoding string       `json:"encoding" jsonschema:"how plaintexts are written"`
	Results  []openedItem `json:"results,omitzero" jsonschema:"one result for each item of a batch, in their order"`
}

func decrypt(ctx context.Context, s *vault.Session, in decryptIn) (out openedOut, err error) {
	j := job{send: s.Query, has: hasPlaintext, path: "decrypt/" + string(in.Key), opts: map[string]any{partial: 200}}
	out.Encoding = taken(in.Encoding)
	if in.Items == nil {
		j.items = []item{in.item(bound{})}
		r, err := j.single(ctx)
		if err != nil {
			return out, err
		}
		out.Plaintext, err = decode(*r.Plaintext, in.Encoding)
		return out, err
	}
	for _, one := range in.Items {
		j.items = append(j.items, one.item(in.bound))
	}
	replies, err := j.run(ctx)
	for _, r := range replies {
		out.Results = append(out.Results, open(r, in.Encoding))
	}
	return out, err
}

func open(r reply, encoding string) openedItem {
	if r.err != nil {
		return openedItem{Error: r.err}
	}
	text, err := decode(*r.Plaintext, encoding)
	if err != nil {
		e := call.AsError(err)
		return openedItem{Error: &itemError{e.Code, e.Msg}}
	}
	return openedItem{opened: opened{text}}
}

type rewrapItem struct {
	Ciphertext call.Secret `json:"ciphertext,omitzero" jsonschema:"what to rewrap, vault:v1:..."`
	Context    call.Secret `json:"context,omitzero" jsonschema:"base64; the context that it was encrypted with"`
	KeyVersion int         `json:"key_version,omitzero" jsonschema:"the key's version to encrypt with, absent for the latest"`
}

type rewrapIn struct {
	key
	rewrapItem
	Items batch[rewrapItem] `json:"items,omitzero" jsonschema:"a batch, instead of ciphertext"`
}

// Target implements op.Target.
func (in *rewrapIn) Target(at op.At) (call.Resource, error) {
	if err := oneForm(in.Ciphertext != "", "ciphertext", len(in.Items), in.Items != nil); err != nil {
		return call.Resource{}, err
	}
	return in.key.Target(at)
}

func (in *rewrapIn) item(one rewrapItem) item {
	f := map[string]any{"ciphertext": one.Ciphertext.Reveal()}
	put(f, "context", one.Context, in.Context)
	if v := cmp.Or(one.KeyVersion, in.KeyVersion); v != 0 {
		f["key_version"] = v
	}
	return item{fields: f}
}

func rewrap(ctx context.Context, s *vault.Session, in rewrapIn) (sealedOut, error) {
	j := job{send: s.Put, has: hasCiphertext, path: "rewrap/" + string(in.Key)}
	if in.Items == nil {
		j.items = []item{in.item(in.rewrapItem)}
		return sealOne(ctx, j)
	}
	for _, one := range in.Items {
		j.items = append(j.items, in.item(one))
	}
	return sealAll(ctx, j)
}
