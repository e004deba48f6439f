package policycmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/policy/policycmd"
	"portcullis/gateway/policy/reach"
)

// What is scaffolded passes every check, is formatted, and is tested as a whole.
func TestANewPolicyIsFine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my-policy")
	p, out := on(t, dir)
	if err := p.New(dir, "payments"); err != nil {
		t.Fatal(err)
	}
	if err := p.Check(t.Context()); err != nil || strings.Contains(out.String(), "warning") {
		t.Errorf("check: %v\n%s", err, out)
	}
	if err := p.Test(t.Context(), policycmd.TestOptions{Threshold: 100}); err != nil {
		t.Errorf("test: %v\n%s", err, out)
	}
	if err := p.Fmt(true); err != nil {
		t.Errorf("fmt: %v\n%s", err, out)
	}
	if err := p.New(dir, "payments"); err == nil {
		t.Error("a rule that is there is written over")
	}
	if err := p.New(dir, "cards"); err != nil {
		t.Errorf("a second team: %v", err)
	}
	if err := p.Check(t.Context()); err != nil {
		t.Errorf("two teams: %v\n%s", err, out)
	}
	for _, wrong := range []string{"", "Pay", "a-b", "1a", "not", "a.b", "../x"} {
		if err := p.New(t.TempDir(), wrong); err == nil {
			t.Errorf("%q is taken for a team", wrong)
		}
	}
}

func TestFmtFormatsAndChecks(t *testing.T) {
	dir := dirOf(t, map[string]string{"x.rego": "package policy.deny.x\nimport rego.v2\n\n\n# METADATA\n# custom:\n#   id: x.a\ndeny contains {\"code\":\"x\",\"msg\":\"m\",\"rule\":\"x.a\"} if { input.principal.kind==\"agent\" }\n"})
	p, out := on(t, dir)
	if err := p.Fmt(true); !errors.Is(err, policycmd.ErrFound) || !strings.Contains(out.String(), "x.rego") {
		t.Errorf("got %v\n%s", err, out)
	}
	if err := p.Fmt(false); err != nil {
		t.Fatal(err)
	}
	if err := p.Fmt(true); err != nil {
		t.Errorf("after formatting: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "x.rego"))
	if err != nil || !bytes.Contains(text, []byte("import rego.v2")) || !bytes.Contains(text, []byte("id: x.a")) {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestRulesListsOwnersAndTests(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	p, out := on(t, dir)
	if err := p.New(dir, "payments"); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	p.Format = policycmd.JSON
	if err := p.Rules(t.Context()); err != nil {
		t.Fatal(err)
	}
	var r struct {
		Rules []struct {
			ID, Title, Team, Kind, File string
			Owners, Tests               []string
		}
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || len(r.Rules) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	got := r.Rules[0]
	if got.ID != "payments.no_destroy" || got.Title == "" || got.Team != "payments" || got.Kind != "deny" ||
		len(got.Owners) != 1 || got.Owners[0] != "payments" || len(got.Tests) != 1 || got.Tests[0] != "test_an_agent_destroys_nothing" {
		t.Errorf("got %+v", got)
	}
}

// A test that fails says what it expected and what it got.
func TestAFailingTestShowsExpectedAndGot(t *testing.T) {
	dir := ruled(t, `input.principal.kind == "agent"`, `{"principal": {"kind": "human"}}`, "")
	p, out := on(t, dir)
	if err := p.Test(t.Context(), policycmd.TestOptions{}); !errors.Is(err, policycmd.ErrFound) {
		t.Fatalf("got %v\n%s", err, out)
	}
	for _, want := range []string{"FAIL ", "test_rule", "count(data.policy.deny.x.deny) == 1", "expected 1, got 0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// Every command answers in JSON and in SARIF, whatever it finds.
func TestEveryCommandAnswersInEveryForm(t *testing.T) {
	bad := fixtures + "policy-bad/misspelt"
	good := fixtures + "policy-good"
	call := []byte(asking("kv.read", "mcp/agent_api/cards/1", "", "}}"))
	for name, tt := range map[string]struct {
		dir string
		do  func(policycmd.Policy) error
	}{
		"check":      {bad, func(p policycmd.Policy) error { return p.Check(t.Context()) }},
		"unreadable": {dirOf(t, map[string]string{"data.yaml": "a: {\n"}), func(p policycmd.Policy) error { return p.Check(t.Context()) }},
		"test":       {good, func(p policycmd.Policy) error { return p.Test(t.Context(), policycmd.TestOptions{Coverage: true}) }},
		"eval":       {good, func(p policycmd.Policy) error { return p.Eval(t.Context(), call) }},
		"explain":    {good, func(p policycmd.Policy) error { return p.Explain(t.Context(), call, true) }},
		"inspect":    {good, func(p policycmd.Policy) error { return p.Inspect(t.Context()) }},
		"reach":      {good, func(p policycmd.Policy) error { return p.Reach(t.Context(), reach.Filter{}) }},
		"diff": {good, func(p policycmd.Policy) error {
			return p.Diff(t.Context(), policycmd.Policy{Dir: fixtures + "policy-dev"})
		}},
		"rules": {good, func(p policycmd.Policy) error { return p.Rules(t.Context()) }},
		"fmt":   {good, func(p policycmd.Policy) error { return p.Fmt(true) }},
		"replay": {good, func(p policycmd.Policy) error {
			log, _ := logged(t, policyConfig(), [2]string{"kv.read", `{"path":"a"}`}, [2]string{"transit.hmac", `{"key":"mcp","input":"aGk="}`})
			_, err := p.Replay(t.Context(), strings.NewReader(log))
			return err
		}},
	} {
		for _, form := range []policycmd.Format{policycmd.JSON, policycmd.SARIF} {
			p, out := on(t, tt.dir)
			p.Format = form
			if err := tt.do(p); err != nil && !errors.Is(err, policycmd.ErrFound) {
				t.Errorf("%s %s: %v", name, form, err)
			}
			var doc struct {
				Version string
				Runs    []struct {
					Tool    struct{ Driver struct{ Name string } }
					Results []struct {
						RuleID  string `json:"ruleId"`
						Message struct{ Text string }
					}
				}
			}
			if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
				t.Errorf("%s %s: %v in\n%s", name, form, err, out)
			}
			if form == policycmd.SARIF && (doc.Version != "2.1.0" || len(doc.Runs) != 1 || doc.Runs[0].Tool.Driver.Name == "" || doc.Runs[0].Results == nil) {
				t.Errorf("%s: not SARIF 2.1.0:\n%s", name, out)
			}
		}
	}
}
