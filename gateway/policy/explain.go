package policy

import (
	"context"
	"strings"
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
	r := e.log.find(func(other string) bool { return other == id })
	if r == nil {
		return e.recall(c, id)
	}
	if r.facts.Caller.Holder() != c.Holder() {
		return Explanation{}, call.Errorf(call.NotFound, "not found")
	}
	return r.explanation(), nil
}

// Kept finds a decision in memory, of whichever caller, among those whose ids begin with a
// time as PartsOf has it. The holder (call.Caller) is whose it is: nobody else may hear of it.
func (e *Engine) Kept(at string, is func(id string) bool) (holder string, x Explanation, ok bool) {
	r := e.log.find(func(id string) bool { return strings.HasPrefix(id, at) && is(id) })
	if r == nil {
		return "", Explanation{}, false
	}
	return r.facts.Caller.Holder(), r.explanation(), true
}

func (r *record) explanation() Explanation {
	d := r.decision
	return Explanation{
		ID: d.ID, Time: r.facts.Time, Op: r.facts.Op.Name, Path: r.facts.Resource.Path.String(), Allow: d.Allow,
		Code: codeOf(d.Allow, string(d.Code)), Reasons: forAgents(d.Reasons), RequiredScopes: append([]string{}, d.RequiredScopes...),
		Tier: d.Tier, Deliver: d.Obligations.Deliver,
	}
}

// recall explains a decision from the log: one of before a restart, or of so long ago
// that others have pushed it out of memory. What the policy's data mask is masked.
func (e *Engine) recall(c *call.Caller, id string) (Explanation, error) {
	r, err := e.log.recall(id)
	if err != nil {
		return Explanation{}, call.Wrap(call.Internal, "internal error", err)
	}
	if r == nil || r.Caller != c.Key() || r.OnBehalfOf != behalfOf(c, e.log.key) {
		return Explanation{}, call.Errorf(call.NotFound, "not found")
	}
	return Explanation{
		ID: r.ID, Time: r.Time, Op: r.member("action", "op"), Path: r.member("resource", "path"), Allow: r.Allow,
		Code: codeOf(r.Allow, r.Code), Reasons: forAgents(r.Reasons), RequiredScopes: append([]string{}, r.RequiredScopes...),
		Tier: r.Tier, Deliver: call.Deliver(r.Obligations.Deliver),
	}, nil
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
// returns every step of it and its record. Of a decision that is in the log alone, or was
// made by a policy before the last one, there is the record. It is for administrators alone.
func (e *Engine) Trace(ctx context.Context, id string) (Record, []string, error) {
	r := e.log.find(func(other string) bool { return other == id })
	if r == nil {
		kept, err := e.log.recall(id)
		if err != nil {
			return Record{}, nil, call.Wrap(call.Internal, "internal error", err)
		}
		if kept == nil {
			return Record{}, nil, call.Errorf(call.NotFound, "not found")
		}
		return *kept, []string{}, nil
	}
	if r.snapshot.retired {
		return r.line(e.log.key), []string{}, nil
	}
	in := r.input()
	steps, err := r.snapshot.Trace(ctx, &in)
	return r.line(e.log.key), steps, err
}
