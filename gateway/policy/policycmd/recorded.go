package policycmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"portcullis/gateway/policy"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// question is a call to ask a policy about: written by hand, or recorded.
type question struct {
	in  document.Input
	rec *policy.Record // nil for one that was written by hand
}

// questionOf reads an input, or the record of a decision. What the catalogue says of
// an operation need not be written.
func (p Policy) questionOf(raw []byte) (question, error) {
	q, err := questionIn(raw)
	if err != nil {
		return q, err
	}
	in := &q.in
	o := p.Catalogue.Get(in.Action.Op)
	if o == nil && q.rec != nil && slices.Contains(q.rec.Erased, "action.op") {
		return q, errors.New("the record hides action.op, so its decision cannot be made again; take it out of masks")
	}
	if o == nil {
		return q, fmt.Errorf("no operation is called %q", in.Action.Op)
	}
	if in.Action.Engine == "" && in.Action.Effect == "" {
		in.Action = document.Action{Op: o.Name, Engine: o.Engine, Effect: string(o.Effect), Public: o.Public}
	}
	return q, nil
}

// object reads a JSON object, and says of anything else what it is.
func object(raw []byte, v any) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		return errors.New("there is nothing: name a file with a call, or give one on standard input")
	}
	err := json.Unmarshal(raw, v)
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field == "" {
		return fmt.Errorf("it is of the type %s, and an object is wanted (policies/README.md shows one)", t.Value)
	}
	if err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	return nil
}

func questionIn(raw []byte) (q question, err error) {
	var rec struct {
		Input json.RawMessage `json:"input"`
	}
	if err := object(raw, &rec); err != nil {
		return q, fmt.Errorf("read the input: %w", err)
	}
	if rec.Input == nil {
		q.in, err = document.ParseInput(raw)
		return q, err
	}
	q.rec = &policy.Record{}
	if err := json.Unmarshal(raw, q.rec); err != nil {
		return q, fmt.Errorf("read the record: %w", err)
	}
	if rec.Input, err = json.Marshal(typed(*q.rec)); err != nil {
		return q, err
	}
	q.in, err = document.ParseInput(rec.Input)
	return q, err
}

// typed is the recorded input without the masked values that are not of their field's
// type, as a text in the place of a number.
func typed(rec policy.Record) map[string]any {
	for _, path := range rec.Erased {
		if !document.Within(path, "args.values") && !document.HoldsTexts(path) {
			drop(rec.Input, strings.Split(path, "."))
		}
	}
	return rec.Input
}

func drop(in map[string]any, path []string) {
	for _, name := range path[:len(path)-1] {
		in, _ = in[name].(map[string]any)
	}
	delete(in, path[len(path)-1])
}

// hidden are the fields that the policy reads and that the record hides or lacks,
// sorted. The values of arguments are recorded only when the policy of then, or its
// shadow, read any; one that was not given may still have had a default.
func (q question) hidden(prog *program.Program) (fields []string) {
	if q.rec == nil {
		return nil
	}
	for _, path := range q.rec.Erased {
		if prog.Reads().Any(path) {
			fields = append(fields, path)
		}
	}
	args, _ := q.rec.Input["args"].(map[string]any)
	values, _ := args["values"].(map[string]any)
	given, _ := args["keys"].([]any)
	if len(given) > 0 && len(values) == 0 {
		fields = append(fields, readBelow(prog, "args.values")...)
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// readBelow are the fields at and below a part of the input that the policy reads.
func readBelow(prog *program.Program, part string) (fields []string) {
	for _, path := range prog.Reads().Paths() {
		switch {
		case document.Within(path, part):
			fields = append(fields, path)
		case document.Within(part, path):
			fields = append(fields, part)
		}
	}
	return fields
}

// answered reports whether the record holds this policy's own answer. A decision is a
// function of the revision and the input, so the recorded one stands for what the
// policy would answer, whatever the record hides.
func (q question) answered(prog *program.Program) bool {
	return q.rec != nil && q.rec.Revision == prog.Revision
}

// output is the recorded answer.
func (q question) output() document.Output {
	r := q.rec
	out := document.Output{
		V: document.Version, Allow: r.Allow, RequiredScopes: r.RequiredScopes, PathPrefix: r.PathPrefix,
		Tier: r.Tier, Obligations: r.Obligations,
	}
	for _, x := range r.Reasons {
		out.Reasons = append(out.Reasons, document.Reason(x))
	}
	return out
}
