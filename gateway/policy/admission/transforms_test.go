package admission_test

import (
	"errors"
	"strings"
	"testing"

	"portcullis/gateway/policy/admission"
	"portcullis/gateway/policy/bundle"
)

const asking = `package policy.obligations.t

import rego.v2

masks := [mask, {"name": "mask", "args": {"keep": input.args.bytes}}]

mask := {"name": "msak"}

# METADATA
# custom:
#   id: t.mask
obligation contains {"transforms": masks} if input.action.op == "kv.read"

# METADATA
# custom:
#   id: t.each
obligation contains duty if {
	input.action.op == "kv.list"
	some name in ["mask", "pii"]
	duty := {"transforms": [{"name": name, "args": {"keep": 4}}]}
}
`

// A transform that is not there refuses the call. Without the operator's manifest that
// is not known yet.
func TestTransformsThatAreNotThere(t *testing.T) {
	core, err := bundle.Core()
	if err != nil {
		t.Fatal(err)
	}
	b := team(asking, strings.Replace(test, "deny.t.deny) == 1", "obligations.t.obligation) == 1", 1))
	b.DataFile = bundle.File{Name: "data.yaml", Text: []byte("obligations:\n  kv.list:\n    transforms:\n      - {name: mask, args: {}}\n      - {name: enc}\n")}
	b.Data = map[string]any{"obligations": map[string]any{"kv.list": map[string]any{"transforms": []any{
		map[string]any{"name": "mask", "args": map[string]any{}}, map[string]any{"name": "enc"},
	}}}}
	there := func(op, name string, args map[string]any) error {
		switch {
		case name != "mask":
			return errors.New("none of " + op)
		case args["keep"] != nil:
			return errors.New("no keep")
		}
		return nil
	}
	want := []string{"dir/data.yaml:5 none of kv.list", "dir/t.rego:7 none of ", "dir/t.rego:20 no keep", "dir/t.rego:20 none of "}
	for _, manifest := range []bool{false, true} {
		_, r, err := admission.Check(t.Context(), core, b, admission.Options{Ops: catalogue(), Transform: there, Manifest: manifest})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range r.Findings {
			if f.Check != "transform" {
				continue
			}
			if n == len(want) || !strings.Contains(f.String(), strings.Fields(want[n])[0]+": ") || !strings.Contains(f.Msg, strings.SplitN(want[n], " ", 2)[1]) || f.Warning == manifest || f.Cure == "" {
				t.Errorf("finding %d: got %v", n, f)
			}
			n++
		}
		if n != len(want) {
			t.Errorf("got %d findings, want %d", n, len(want))
		}
	}
}
