package admission_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy/admission"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/program"
)

const (
	rule = `package policy.deny.t

import rego.v2

# METADATA
# custom:
#   id: t.frozen
deny contains {"code": "t.frozen", "msg": "frozen", "rule": "t.frozen"} if input.action.op == "kv.write"
`
	test = `package policy.deny.t_test

import rego.v2

test_frozen if count(data.policy.deny.t.deny) == 1 with input as {"action": {"op": "kv.write"}}
`
	wrong = `package policy.deny.t_test

import rego.v2

test_frozen if count(data.policy.deny.t.deny) == 2 with input as {"action": {"op": "kv.write"}}
`
	lookup = `package policy.deny.t

import rego.v2

# METADATA
# custom:
#   id: t.frozen
deny contains {"code": "t.frozen", "msg": "forced", "rule": "t.frozen"} if object.get(input.args.values, "forced", false)
`
	cases = `package policy.deny.t_test

import rego.v2

cases := {"write": {"op": "kv.write", "want": 1}, "read": {"op": "kv.read", "want": 0}}

test_cases[name] if {
	some name, c in cases
	got := data.policy.deny.t.deny with input as {"action": {"op": c.op}}
	count(got) == c.want
}
`
	disagreeing = `package policy.deny.u

import rego.v2

# METADATA
# custom:
#   id: u.two
deny contains {"code": "u.two", "msg": two, "rule": "u.two"} if input.action.op == "kv.write"

two := "a" if input.principal.kind == "agent"

two := "b" if input.action.op == "kv.write"
`
	disagreeingTest = `package policy.deny.u_test

import rego.v2

test_two if count(data.policy.deny.u.deny) == 1 with input as {"action": {"op": "kv.write"}}
`
)

// shared is made once: to make its schemas costs more than most tests do.
var shared = sync.OnceValues(func() (*op.Catalogue, error) {
	return ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
})

func catalogue() []*op.Op {
	c, err := shared()
	if err != nil {
		panic(err)
	}
	return c.All()
}

func team(rules, tests string) *bundle.Bundle {
	b := &bundle.Bundle{Place: "dir", Data: map[string]any{}, Rules: []bundle.File{{Name: "t.rego", Text: []byte(rules)}}}
	if tests != "" {
		b.Tests = []bundle.File{{Name: "t_test.rego", Text: []byte(tests)}}
	}
	return b
}

func run(ctx context.Context, b *bundle.Bundle) (admission.Report, error) {
	core, err := bundle.Core()
	if err != nil {
		return admission.Report{}, err
	}
	_, r, err := admission.Check(ctx, core, b, admission.Options{Ops: catalogue()})
	return r, err
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name string
		b    *bundle.Bundle
		want string // the first error, empty for none
	}{
		{"sound", team(rule, test), ""},
		{"sound, of Rego v1", team(strings.Replace(rule, "import rego.v2\n", "", 1), test), ""},
		{"sound, with a name that is now a keyword", team(strings.Replace(rule, "import rego.v2\n", "", 1)+"\nand := 1\n\nx := and\n", test), "unused"},
		{"a lookup in what has fields", team(lookup, strings.Replace(test, "\"action\": {\"op\": \"kv.write\"}", "\"args\": {\"values\": {\"forced\": true}}", 1)), ""},
		{"a test with cases", team(rule, cases), ""},
		{"no test", team(rule, ""), "test"},
		{"a test that asserts nothing", team(rule, strings.Replace(test, "deny) == 1", "deny) >= 0", 1)), "test"},
		{"an operation that is not there", team(strings.Replace(rule, "kv.write", "kv.wrte", 1), strings.Replace(test, "kv.write", "kv.wrte", 1)), "value"},
		{"a kind that is not there", team(strings.Replace(rule, "input.action.op == \"kv.write\"", "input.principal.kind in {\"agnet\"}", 1), strings.Replace(test, "\"action\": {\"op\": \"kv.write\"}", "\"principal\": {\"kind\": \"agnet\"}", 1)), "value"},
		{"rules that disagree for people", team(strings.Replace(disagreeing, "\"agent\"", "\"human\"", 1), disagreeingTest), "error"},
		{"a test that fails", team(rule, wrong), "tests"},
		{"a test that does not compile", team(rule, "package x\n\nimport rego.v2\n\ntest_x if y\n"), "tests"},
		{"rules that disagree for some calls", team(disagreeing, disagreeingTest), "error"},
		{"nothing but data", &bundle.Bundle{Data: map[string]any{}}, ""},
		{"no Rego", team("package policy.deny.t\n\ndeny[x] {", ""), "compile"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := run(t.Context(), tt.b)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, f := range r.Findings {
				if !f.Warning && got == "" {
					got = f.Check
				}
			}
			if got != tt.want {
				t.Errorf("got %q, want %q: %v", got, tt.want, r.Findings)
			}
		})
	}
}

const expensive = `package policy.deny.t

import rego.v2

# METADATA
# custom:
#   id: t.frozen
deny contains {"code": "t.frozen", "msg": "frozen", "rule": "t.frozen"} if {
	input.action.op == "kv.write"
	count([1 | some i in numbers.range(1, 9000); some j in numbers.range(1, 9000); i * j < 0]) == 0
}
`

const greedy = `package policy.deny.t

import rego.v2

# METADATA
# custom:
#   id: t.frozen
deny contains {"code": "t.frozen", "msg": "frozen", "rule": "t.frozen"} if {
	input.action.op == "kv.write"
	a := replace("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "x", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
	b := replace(a, "x", a)
	count(replace(b, "x", b)) == 0
}
`

// TestDearRules: a rule that takes too much time or memory is refused.
func TestDearRules(t *testing.T) {
	for _, tt := range []struct {
		rule, check, file string
		line              int
	}{
		{expensive, "slow", "dir/t.rego", 8},
		{greedy, "memory", "dir", 0},
	} {
		r, err := run(t.Context(), team(tt.rule, strings.Replace(test, "deny) == 1", "deny) == 0", 1)+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(r.Findings, func(f program.Finding) bool {
			late := f.Check == "slow" && f.Line == 8 // on a busy machine, before the memory is used
			return (f.Check == tt.check && f.File == tt.file && f.Line == tt.line || late) && f.Cure != ""
		}) {
			t.Errorf("%s: got %v", tt.check, r.Findings)
		}
	}
}

// A name that nothing has grants, limits or hides nothing, whatever its author
// thinks.
func TestNamesInDataThatNothingHas(t *testing.T) {
	for text, want := range map[string]string{
		"grants: {subjects: {a: {transit: {k: {ops: [transit.sgin]}}}}}":                   "transit.sgin",
		"grants: {subjects: {a: {transit: {k: {ops: [kv.read]}}}}}":                        "kv.read",
		"grants: {roles: {a: {kv: {shared/*: {}}}}}":                                       "shared/*",
		"grants: {roles: {a: {kv: {shared/: {}}}}}":                                        "shared/",
		"grants: {roles: {a: {db: {a/b: {}}}}}":                                            "a/b",
		"tenants: {acme: {subjects: {a: {tier: gold}}}}":                                   "gold",
		"tiers: {gold: {requests: 1, window_s: 1, cost: {kv.raed: 2}}}":                    "kv.raed",
		"obligations: {kv.raed: {deliver: masked}}":                                        "kv.raed",
		"masks: [context.sourceip]":                                                        "context.sourceip",
		"masks: [input.context.source_ip, args.values.x, principal.auth.cert_fp]":          "",
		"grants: {subjects: {a: {kv: {a/b: {ops: [kv.read]}}, tier: standard}}}":           "",
		"grants: {subjects: {a: {tier: gold}}}\ntiers: {gold: {requests: 1, window_s: 1}}": "",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte("# \n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := bundle.Read(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := run(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case want == "" && len(r.Findings) > 0, want != "" && len(r.Findings) != 1:
			t.Errorf("%s: got %v", text, r.Findings)
		case want != "" && (r.Findings[0].Line != 2 || !strings.Contains(r.Findings[0].Msg, want)):
			t.Errorf("%s: got %v, want %q in line 2", text, r.Findings[0], want)
		}
	}
}

// checking is how often a check of data alone may allocate, which every start waits for: what
// it does today and a little more.
const checking = 170_000

// What decides about data without a rule of their own has been tried when it was built.
func TestDataAloneAreCheckedInShort(t *testing.T) {
	data := &bundle.Bundle{Place: "dir", Data: map[string]any{"grants": map[string]any{"subjects": map[string]any{
		"a": map[string]any{"transit": map[string]any{"k": map[string]any{}}, "kv": map[string]any{"shared": map[string]any{}}},
	}}}}
	var r admission.Report
	n := testing.AllocsPerRun(1, func() {
		var err error
		if r, err = run(t.Context(), data); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%.0f allocations, %d inputs", n, r.Suite.Inputs)
	if n > checking {
		t.Errorf("%.0f allocations, the budget is %d", n, checking)
	}
	for _, check := range []string{"unknown", "sibling", "variants", "team", "scopes", "fields"} {
		if r.Suite.Checks[check] == 0 {
			t.Errorf("%s was never tried", check)
		}
	}
}

func ExampleCheck() {
	r, err := run(context.Background(), team(rule, test))
	fmt.Println(len(r.Findings), len(r.Rules), len(r.Tests.Results), err)
	// Output: 0 1 1 <nil>
}

// A rule in a file of tests is refused, whatever the file is called: its own tests would hold
// and nothing would enforce it. Tests may have sets of their own.
func TestRulesInFilesOfTests(t *testing.T) {
	deny := "\n\nimport rego.v2\n\n%s contains {\"code\": \"c\", \"msg\": \"m\", \"rule\": \"r\"} if input.principal.kind == \"agent\"\n"
	for text, refused := range map[string]bool{
		"package policy.deny.more" + fmt.Sprintf(deny, "deny"):                true,
		"package policy.deny.more.deep" + fmt.Sprintf(deny, "deny"):           true,
		"package policy.obligations.more" + fmt.Sprintf(deny, "obligation"):   true,
		"package policy.deny.more" + fmt.Sprintf(deny, "Deny"):                true,
		"package policy.deny.more_test" + fmt.Sprintf(deny, "deny"):           false,
		"package policy.lib.more_test" + fmt.Sprintf(deny, "deny"):            false,
		"package policy.deny.more" + fmt.Sprintf(deny, "test_cases"):          false,
		"package policy.deny.more\n\nimport rego.v2\n\ntest_deny if 1 == 1\n": false,
	} {
		b := &bundle.Bundle{Place: "dir", Data: map[string]any{}, Tests: []bundle.File{{Name: "more_test.rego", Text: []byte(text)}}}
		r, err := run(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		told := slices.ContainsFunc(r.Findings, func(f program.Finding) bool {
			return f.Check == "unread" && !f.Warning && f.File == "dir/more_test.rego"
		})
		if told != refused {
			t.Errorf("refused %v, want %v: %v\n%s", told, refused, r.Findings, text)
		}
	}
}
