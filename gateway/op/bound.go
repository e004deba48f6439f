package op

import (
	"context"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// Bound is a call whose arguments have been decoded and resolved: exactly the
// value that is decided on, and then run.
type Bound struct {
	Op       *Op
	Caller   *call.Caller
	Request  *Request
	Resource call.Resource
	Keys     []string // names of the arguments that were given, in their order
	Bytes    int      // length of the arguments' JSON text

	input any
	run   func(context.Context, *vault.Session) (any, error)
}

// Run does the operation. Only the pipeline calls it, with a session that the
// decision's grant has opened.
func (b *Bound) Run(ctx context.Context, s *vault.Session) (any, error) { return b.run(ctx, s) }

// Values returns the arguments as JSON for the policy input and the audit
// record; secret values are replaced by "[redacted]". It is deterministic.
func (b *Bound) Values() ([]byte, error) {
	return json.Marshal(b.input, json.Deterministic(true))
}

// Bind decodes and resolves the arguments of a request. Errors are
// UnknownOperation or InvalidRequest.
func (c *Catalogue) Bind(r *Request) (*Bound, error) {
	o, ok := c.byName[r.Op]
	if !ok {
		return nil, call.Errorf(call.UnknownOperation, "unknown operation")
	}
	raw := r.Args
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	keys, err := o.check(raw)
	if err != nil {
		return nil, err
	}
	b, err := o.decode(raw, At{Caller: r.Caller, Mount: o.Mount, Absolute: r.Absolute})
	if err != nil {
		return nil, err
	}
	b.Caller, b.Request, b.Keys, b.Bytes = r.Caller, r, keys, len(raw)
	return &b, nil
}
