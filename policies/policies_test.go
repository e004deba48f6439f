package policies_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
	"portcullis/gateway/policy/regotest"
	"portcullis/policies"
)

func core(t *testing.T) (*bundle.Bundle, *program.Program) {
	t.Helper()
	b, err := bundle.Core()
	if err != nil {
		t.Fatal(err)
	}
	p, err := program.Compile(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b, p
}

func TestTheDefaultPolicyPassesItsTests(t *testing.T) {
	b, p := core(t)
	r, err := regotest.Run(t.Context(), p, regotest.Options{}, b)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Results) < 20 {
		t.Errorf("only %d tests ran", len(r.Results))
	}
	for _, res := range r.Results {
		if !res.Pass() {
			t.Errorf("%s:%d %s: %v", res.Location.File, res.Location.Row, res.Name, res.Error)
		}
	}
	for name, f := range r.Coverage.Files {
		if f.NotCoveredLines > 0 {
			t.Errorf("%s: not covered: %v", name, f.NotCovered)
		}
	}
}

func TestEveryRuleHasAnIDOfItsOwn(t *testing.T) {
	_, p := core(t)
	seen := map[string]string{}
	for title, m := range p.Modules() {
		for _, r := range m.Rules {
			id := ""
			for _, a := range r.Annotations {
				if s, ok := a.Custom["id"].(string); ok {
					id = s
				}
			}
			where := fmt.Sprintf("%s:%d", title, r.Location.Row)
			if id == "" || seen[id] != "" {
				t.Errorf("%s: id %q, also of %q", where, id, seen[id])
			}
			seen[id] = where
		}
	}
}

func TestReasonsNameTheirRule(t *testing.T) {
	_, p := core(t)
	for title, m := range p.Modules() {
		for _, r := range m.Rules {
			if r.Head.Name != "reasons" {
				continue
			}
			rule := r.Head.Key.Value.(ast.Object).Get(ast.StringTerm("rule"))
			id := r.Annotations[0].Custom["id"]
			if s, ok := rule.Value.(ast.String); ok && string(s) != id {
				t.Errorf("%s:%d: emits the rule %s, has the id %v", title, r.Location.Row, s, id)
			}
		}
	}
}

func TestEveryFileImportsTheNewestRego(t *testing.T) {
	err := fs.WalkDir(policies.Files(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".rego") {
			return err
		}
		text, err := fs.ReadFile(policies.Files(), name)
		if err == nil && !strings.Contains(string(text), "\nimport rego.v2\n") {
			t.Errorf("%s does not import rego.v2", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What the catalogue calls unnamed, and nothing else that a policy must grant, is granted
// without data where there is no name.
func TestWhatNamesNothingNeedsNoGrant(t *testing.T) {
	_, p := core(t)
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh", PKI: "pki", TOTP: "totp"})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range cat.All() {
		f := document.FactsOfList(&call.Caller{Subject: "a", Kind: "agent", Scopes: []string{"read", "list", "write", "delete"}}, o, time.Unix(1, 0))
		in := f.Input(document.Everything())
		out, err := p.Decide(t.Context(), &in, time.Minute)
		if want := o.Unnamed || op.NeedsNoGrant(o.Engine); err != nil || out.Allow != want {
			t.Errorf("%s without a name: allowed %v, want %v; %v", o.Name, out.Allow, want, err)
		}
	}
}

func ExampleFiles() {
	list, _ := fs.Glob(policies.Files(), "gateway/*.rego")
	fmt.Println(len(list) > 0)
	// Output: true
}
