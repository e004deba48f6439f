package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/pipeline"
	"portcullis/gateway/transform"
	"portcullis/gateway/transform/guest"
)

// obligations plans what the decision obliges to. The generation of the modules
// is pinned here, before anything is sent, so a reload cannot change a call that
// is under way. What cannot be fulfilled refuses the call.
func (g *Server) obligations(b *op.Bound, d *op.Decision) (pipeline.Finish, error) {
	named := make([]transform.Obligation, len(d.Obligations.Transforms))
	for i, t := range d.Obligations.Transforms {
		raw, err := json.Marshal(t.Args)
		if err != nil {
			return pipeline.Finish{}, unfulfilled(err)
		}
		named[i] = transform.Obligation{Name: t.Name, Args: raw}
		if t.Args == nil {
			named[i].Args = nil
		}
	}
	gen := g.transforms.Pin()
	plan, err := gen.Plan(transform.Call{
		Hook: guest.Response, Op: b.Op.Name, Mount: b.Resource.Mount, Subject: b.Caller.Subject,
		Roles: b.Caller.Roles, Tenant: b.Caller.Tenant, Caller: b.Caller.Key(), Result: g.results[b.Op.Name],
	}, named)
	if err != nil {
		gen.Release()
		return pipeline.Finish{}, unfulfilled(err)
	}
	if plan.Len() == 0 {
		gen.Release()
		return pipeline.Finish{}, nil
	}
	return pipeline.Finish{Close: gen.Release, Apply: func(rec *op.Record, body []byte) ([]byte, error) {
		out, steps, err := plan.Apply(body)
		for _, s := range steps {
			rec.Steps = append(rec.Steps, op.Step{Name: fmt.Sprintf("%s@%s", s.Name, s.Digest), Args: s.Args, Fuel: s.Fuel, Result: s.Result})
		}
		return out, err
	}}, nil
}

// nameable says why a decision may not name a transform.
func (g *Server) nameable(op, name string, args map[string]any) error {
	if g.transforms == nil {
		return nil // they could not be loaded, which ends the start
	}
	return g.transforms.Nameable(op, name, args)
}

// rewrite runs the modules that the operator has attached to requests. What they
// return is bound and decided like any other request.
func (g *Server) rewrite(_ context.Context, r *op.Request) error {
	o := g.ops.Get(r.Op)
	if o == nil {
		return nil // there is no such operation, which binding says
	}
	gen := g.transforms.Pin()
	defer gen.Release()
	c := r.Caller
	plan, err := gen.Plan(transform.Call{
		Hook: guest.Request, Op: r.Op, Mount: cmp.Or(r.Mount, o.Mount), Subject: c.Subject, Roles: c.Roles, Tenant: c.Tenant, Caller: c.Key(),
	}, nil)
	if err == nil && plan.Len() > 0 {
		args := r.Args
		if len(args) == 0 {
			args = []byte("{}")
		}
		r.Args, _, err = plan.Apply(args)
	}
	if errors.Is(err, transform.ErrQuarantined) {
		return unfulfilled(err)
	}
	if err != nil {
		return call.Wrap(call.TransformFailed, "the request could not be transformed as the operator asks", err)
	}
	return nil
}

// unfulfilled refuses a call whose transforms cannot be planned. A module that is in
// quarantine will be tried again, so the caller is told when.
func unfulfilled(err error) error {
	if u, ok := errors.AsType[*transform.Unavailable](err); ok {
		return &call.Error{Code: call.TransformUnavailable, Msg: "a transform that this call needs keeps failing and is not available for now", Err: err, RetryAfter: u.Wait}
	}
	return call.Wrap(call.Forbidden, "denied by policy", fmt.Errorf("obligation cannot be fulfilled: %w", err))
}

// resultsOf are what the results of the operations must look like, by their names.
func resultsOf(c *op.Catalogue) map[string]*transform.Result {
	all := map[string]*transform.Result{}
	for _, o := range c.All() {
		all[o.Name] = transform.NewResult(o.Out)
	}
	return all
}

// Known is what the selectors of a manifest of modules may match.
func Known(c *op.Catalogue) transform.Known {
	var k transform.Known
	for _, o := range c.All() {
		k.Operations = append(k.Operations, o.Name)
		for _, m := range o.Mounts() {
			if !slices.Contains(k.Mounts, m.Path) {
				k.Mounts = append(k.Mounts, m.Path)
			}
		}
	}
	return k
}
