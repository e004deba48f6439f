package policy

import (
	"context"
	"encoding/json"
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

// Explain tells a caller about its own decision, in words that are meant for it: one that is
// in memory, in the log, or that another replica has told of. A decision of somebody else, an
// old one and one that never was look the same.
func (e *Engine) Explain(ctx context.Context, c *call.Caller, id string) (Explanation, error) {
	if r := e.log.find(id); r != nil && r.facts.Caller.Holder() == c.Holder() {
		return r.explanation(), nil
	}
	r, err := e.recall(id)
	if err == nil && (r == nil || r.Caller != c.Key() || r.OnBehalfOf != behalfOf(c, e.log.key)) {
		r, err = e.hear(ctx, id, c.Holder())
	}
	if err != nil {
		return Explanation{}, err
	}
	if r == nil {
		return Explanation{}, call.Errorf(call.NotFound, "not found")
	}
	return r.explanation(), nil
}

func (r *record) explanation() Explanation {
	d := r.decision
	return Explanation{
		ID: d.ID, Time: r.facts.Time, Op: r.facts.Op.Name, Path: r.facts.Resource.Path.String(), Allow: d.Allow,
		Code: codeOf(d.Allow, string(d.Code)), Reasons: forAgents(d.Reasons), RequiredScopes: append([]string{}, d.RequiredScopes...),
		Tier: d.Tier, Deliver: d.Obligations.Deliver,
	}
}

func (r *Record) explanation() Explanation {
	return Explanation{
		ID: r.ID, Time: r.Time, Op: r.member("action", "op"), Path: r.member("resource", "path"), Allow: r.Allow,
		Code: codeOf(r.Allow, r.Code), Reasons: forAgents(r.Reasons), RequiredScopes: append([]string{}, r.RequiredScopes...),
		Tier: r.Tier, Deliver: call.Deliver(r.Obligations.Deliver),
	}
}

// recall finds a decision in the log, nil for none: one of before a restart, or of so long ago
// that others have pushed it out of memory. What the policy's data mask is masked.
func (e *Engine) recall(id string) (*Record, error) {
	r, err := e.log.recall(id)
	if err != nil {
		return nil, call.Wrap(call.Internal, "internal error", err)
	}
	return r, nil
}

// hear finds a decision that another replica has told of, nil for none. With a holder it is
// nil as well for one of somebody else.
func (e *Engine) hear(ctx context.Context, id, holder string) (*Record, error) {
	told, err := e.told(ctx, id)
	if told == nil || err != nil || holder != "" && told.Holder != holder {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(told.Record, &r); err != nil || r.ID != id {
		return nil, nil // it is none of ours
	}
	return &r, nil
}

// member is a text of the input.
func (r *Record) member(of, name string) string {
	object, _ := r.Input[of].(map[string]any)
	text, _ := object[name].(string)
	return text
}

func codeOf(allow bool, code string) string {
	if allow {
		return "ok"
	}
	return code
}

// forAgents are the reasons that callers may see.
func forAgents(reasons []op.Reason) []op.Reason {
	out := []op.Reason{}
	for _, x := range reasons {
		if x.Audience == "agent" {
			out = append(out, op.Reason{Code: x.Code, Msg: x.Msg})
		}
	}
	return out
}

// Trace evaluates a kept decision once more, at the revision that made it, and
// returns every step of it and its record. Of a decision that is in the log alone, of another
// replica, or was made by a policy before the last one, there is the record. It is for
// administrators alone.
func (e *Engine) Trace(ctx context.Context, id string) (Record, []string, error) {
	r := e.log.find(id)
	if r == nil {
		record, err := e.traced(ctx, id)
		return record, []string{}, err
	}
	if r.snapshot.retired {
		return r.line(e.log.key), []string{}, nil
	}
	in := r.input()
	steps, err := r.snapshot.Trace(ctx, &in)
	return r.line(e.log.key), steps, err
}

// traced is the record of a decision that is not in memory.
func (e *Engine) traced(ctx context.Context, id string) (Record, error) {
	r, err := e.recall(id)
	if r == nil && err == nil {
		r, err = e.hear(ctx, id, "")
	}
	if err != nil {
		return Record{}, err
	}
	if r == nil {
		return Record{}, call.Errorf(call.NotFound, "not found")
	}
	return *r, nil
}
