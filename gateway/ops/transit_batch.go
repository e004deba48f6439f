package ops

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// maxBatch bounds the items of one call.
const maxBatch = 1000

// batch is a list of items. The policy and the evidence see that there is one,
// not what is in it.
type batch[T any] []T

// MarshalJSON implements json.Marshaler.
func (batch[T]) MarshalJSON() ([]byte, error) { return []byte(`"` + call.Redacted + `"`), nil }

// itemError says what is wrong with one item of a batch. The others are not
// touched by it.
type itemError struct {
	Code    call.Code `json:"code" jsonschema:"what went wrong, as in the error of a single call"`
	Message string    `json:"message" jsonschema:"the same for people"`
}

// job is one call of Vault's batch forms. A single call is a job of one item, so
// that both behave alike.
type job struct {
	send  func(ctx context.Context, path string, body any, out vault.Reply) error
	path  string
	opts  map[string]any // beside the items
	items []item
	has   func(reply) bool // whether a result has what the operation is for
}

// partial is the option that names the status of an answer in which some items have
// failed and others have not. Encrypting and decrypting know it; others warn of it.
const partial = "partial_failure_response_code"

// item is one element of batch_input with what is known to be wrong with it
// before it is sent.
type item struct {
	fields map[string]any
	bad    string
}

// reply is one element of batch_results (Vault API, transit).
type reply struct {
	Ciphertext string  `json:"ciphertext"`
	Plaintext  *string `json:"plaintext"` // of nothing it is empty, not absent
	Signature  string  `json:"signature"`
	Valid      *bool   `json:"valid"`
	KeyVersion int     `json:"key_version"`
	Error      string  `json:"error"`

	err     *itemError
	refused *call.Error // by Vault, nil for not
}

// batchReply is what Vault answers to a batch: a result for each item, in their order,
// that has what the operation is for or says what is wrong with the item.
type batchReply struct {
	Results []reply `json:"batch_results"`

	items int
	has   func(reply) bool
}

// Complete implements vault.Reply.
func (b *batchReply) Complete() bool {
	return len(b.Results) == b.items && !slices.ContainsFunc(b.Results, func(r reply) bool { return r.Error == "" && !b.has(r) })
}

func hasCiphertext(r reply) bool { return isMade(r.Ciphertext) }
func hasPlaintext(r reply) bool  { return r.Plaintext != nil }
func hasSignature(r reply) bool  { return isMade(r.Signature) }
func hasVerdict(r reply) bool    { return r.Valid != nil }

// isMade reports whether a text has the form of what transit makes with a key. What has
// not may be what was sent.
func isMade(text string) bool { return strings.HasPrefix(text, "vault:v") }

// run returns one reply for each item, in their order. Vault refuses a whole
// batch of which some items have a context and others none, so the latter are
// left out.
func (j job) run(ctx context.Context) ([]reply, error) {
	j.demandContext()
	replies := make([]reply, len(j.items))
	var sent []int
	for i, it := range j.items {
		if it.bad != "" {
			replies[i].err = &itemError{call.InvalidRequest, it.bad}
			continue
		}
		sent = append(sent, i)
	}
	if len(sent) == 0 {
		return replies, nil
	}
	got, err := j.ask(ctx, sent)
	if err != nil {
		return nil, err
	}
	for n, i := range sent {
		replies[i] = got[n]
		if got[n].Error != "" {
			replies[i].refused = vault.ItemError(got[n].Error, j.items[i].fields)
			replies[i].err = &itemError{replies[i].refused.Code, replies[i].refused.Msg}
		}
	}
	return replies, nil
}

func (j job) demandContext() {
	some := false
	for _, it := range j.items {
		some = some || it.fields["context"] != nil
	}
	for i, it := range j.items {
		if some && it.fields["context"] == nil && it.bad == "" {
			j.items[i].bad = "the item has no context while others have one"
		}
	}
}

// ask sends the items with these indexes. When some fail, Vault answers with 400 and what
// came of each, or with the status asked for where it can be asked.
func (j job) ask(ctx context.Context, sent []int) ([]reply, error) {
	input := make([]map[string]any, len(sent))
	for n, i := range sent {
		input[n] = j.items[i].fields
	}
	body := map[string]any{"batch_input": input}
	maps.Copy(body, j.opts)
	out := batchReply{items: len(sent), has: j.has}
	err := j.send(ctx, j.path, body, &out)
	if refused, ok := errors.AsType[*vault.RefusedError](err); ok && json.Unmarshal(refused.Body, &out) == nil && out.Complete() {
		err = nil
	}
	return out.Results, err
}

// single returns the reply of a job of one item.
func (j job) single(ctx context.Context) (reply, error) {
	replies, err := j.run(ctx)
	if err != nil {
		return reply{}, err
	}
	if r := replies[0]; r.refused != nil {
		return reply{}, r.refused
	} else if r.err != nil {
		return reply{}, call.Errorf(r.err.Code, "%s", r.err.Message)
	}
	return replies[0], nil
}

// put sets a field to the first value that there is.
func put(fields map[string]any, name string, values ...call.Secret) {
	for _, v := range values {
		if v != "" {
			fields[name] = v.Reveal()
			return
		}
	}
}

// oneForm checks that a call is either single or a batch.
func oneForm(single bool, name string, items int, given bool) error {
	switch {
	case single == given:
		return call.Errorf(call.InvalidRequest, "give either %s or items", name)
	case given && items == 0:
		return call.Errorf(call.InvalidRequest, "argument items: empty")
	}
	return nil
}

// BatchLen implements op.Batch, here and below.
func (in *encryptIn) BatchLen() int { return len(in.Items) }

func (in *decryptIn) BatchLen() int { return len(in.Items) }

func (in *rewrapIn) BatchLen() int { return len(in.Items) }

func (in *signIn) BatchLen() int { return len(in.Items) }

func (in *verifyIn) BatchLen() int { return len(in.Items) }
