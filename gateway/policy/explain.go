package policy

import (
	"context"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Explanation is what a caller may know of a decision about itself.
type Explanation struct {
	ID             string       `json:"decision_id"`
	Time           time.Time    `json:"time"`
	Op             string       `json:"op"`
	Path           string       `json:"path"`
	Allow          bool         `json:"allow"`
	Code           string       `json:"code"`
	Reasons        []op.Reason  `json:"reasons"`
	RequiredScopes []string     `json:"required_scopes"`
	Tier           string       `json:"tier"`
	Deliver        call.Deliver `json:"deliver"`
}

// Explain tells a caller about its own decision, in words that are meant for it.
// A decision of somebody else, an old one and one that never was look the same.
func (e *Engine) Explain(c *call.Caller, id string) (Explanation, error) {
	r := e.log.find(id)
	if r == nil || r.facts.Caller.Key() != c.Key() {
		return Explanation{}, call.Errorf(call.NotFound, "not found")
	}
	d := r.decision
	out := Explanation{
		ID: d.ID, Time: r.facts.Time, Op: r.facts.Op.Name, Path: r.facts.Resource.Path.String(), Allow: d.Allow,
		Code: "ok", Reasons: []op.Reason{}, RequiredScopes: append([]string{}, d.RequiredScopes...),
		Tier: d.Tier, Deliver: d.Obligations.Deliver,
	}
	if !d.Allow {
		out.Code = string(d.Code)
	}
	for _, x := range d.Reasons {
		if x.Audience == "agent" {
			out.Reasons = append(out.Reasons, op.Reason{Code: x.Code, Msg: x.Msg})
		}
	}
	return out, nil
}

// Trace evaluates a kept decision once more, at the revision that made it, and
// returns every step of it and its record. It is for administrators alone.
func (e *Engine) Trace(ctx context.Context, id string) (Record, []string, error) {
	r := e.log.find(id)
	if r == nil {
		return Record{}, nil, call.Errorf(call.NotFound, "not found")
	}
	in := r.input()
	steps, err := r.snapshot.Trace(ctx, &in)
	return r.line(e.log.key), steps, err
}
