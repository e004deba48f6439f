package op

import (
	"bytes"
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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
	Keys     []string // names of the arguments that were given, sorted
	Bytes    int      // length of the arguments' compact JSON text

	Items int // of a batch, 1 for a call that is none

	// Destructive says that this call removes something that cannot be brought back.
	Destructive bool

	chosen bool // the call names its mount
	input  any
	run    func(context.Context, *vault.Session) (any, error)
	parts  [][]byte // arguments of the calls that this one stands for
	gather func([]Part) any
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
// UnknownOperation, InvalidRequest, or what the transport found bad.
func (c *Catalogue) Bind(r *Request) (*Bound, error) {
	o, ok := c.byName[r.Op]
	if !ok {
		return nil, call.Errorf(call.UnknownOperation, "unknown operation")
	}
	if r.Bad != nil {
		return nil, r.Bad
	}
	raw := jsontext.Value("{}")
	if len(r.Args) > 0 {
		raw = bytes.Clone(r.Args)
		_ = raw.Compact() // what is wrong with it, check says
	}
	at, raw, err := o.place(r, raw)
	if err != nil {
		return nil, err
	}
	raw, keys, err := o.arguments(raw)
	if err != nil {
		return nil, err
	}
	b, err := o.decode(raw, at)
	if err != nil {
		return nil, err
	}
	b.chosen = at.Chosen
	b.Caller, b.Request, b.Keys, b.Bytes = r.Caller, r, keys, len(raw)
	return &b, nil
}
