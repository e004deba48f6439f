package policycmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
	"portcullis/gateway/policy/policycmd"
)

const fixtures = "../../../fixtures/"

// shared is made once: to make its schemas costs more than most tests do.
var shared = sync.OnceValues(func() (*op.Catalogue, error) {
	return ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
})

func catalogue(t testing.TB) *op.Catalogue {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// on is a policy, and what a command writes about it.
func on(t testing.TB, dir string) (policycmd.Policy, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	return policycmd.Policy{Dir: dir, Catalogue: catalogue(t), Out: &out}, &out
}

func TestCheckAndConformance(t *testing.T) {
	tests := []struct {
		dir  string
		want []string // what is found, empty for nothing
	}{
		{"", nil},
		{"policy-dev", nil},
		{"policy-good", nil},
		{"policy-bad/v1-not", []string{"payments.rego:12: error: a `not` of Rego v1 over the input", "[v1-not]", "payments.rego:10: error: the rule is skipped", "[fails-open]", "cure: put `import rego.v2`"}},
		{"policy-bad/lax-negation", []string{"payments.rego:12: error: a `not` of Rego v1 over time.parse_rfc3339_ns", "[lax-negation]", "cure: put `import rego.v2`"}},
		{"policy-bad/deny-true", []string{"payments.rego:10: error: deny is not a set", "cure: write `deny contains"}},
		{"policy-bad/misspelt", []string{"payments.rego:10: error: nothing reads Deny", "cure: rename it to deny"}},
		{"policy-bad/iteration", []string{"payments.rego:11: error: the rule runs through data.tenants", "cure: key the data"}},
		{"policy-bad/prefix", []string{"payments.rego:12: error: the prefix check also matches siblings", "in input.resource.ancestors"}},
	}
	for _, tt := range tests {
		for name, run := range map[string]func(policycmd.Policy) error{
			"check": func(p policycmd.Policy) error { return p.Check(t.Context()) },
			"test --conformance": func(p policycmd.Policy) error {
				return p.Test(t.Context(), policycmd.TestOptions{Conformance: true})
			},
		} {
			t.Run(name+" "+tt.dir, func(t *testing.T) {
				dir := tt.dir
				if dir != "" {
					dir = fixtures + dir
				}
				p, out := on(t, dir)
				err := run(p)
				if tt.want == nil && (err != nil || strings.Contains(out.String(), "error:")) {
					t.Fatalf("got %v\n%s", err, out)
				}
				if tt.want != nil && !errors.Is(err, policycmd.ErrFound) {
					t.Fatalf("got %v, want findings\n%s", err, out)
				}
				for _, w := range tt.want {
					if !strings.Contains(out.String(), w) {
						t.Errorf("nothing of %q in\n%s", w, out)
					}
				}
			})
		}
	}
}

// fence is a code block of a page with a file's name.
var fence = regexp.MustCompile("(?ms)^```\\w+ (\\S+)\n(.*?)^```$")

// The tutorial is followed to the letter.
func TestTheTutorialWorksAsWritten(t *testing.T) {
	page, err := os.ReadFile("../../../policies/README.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("my-policy", 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, m := range fence.FindAllStringSubmatch(string(page), -1) {
		files[m[1]] = m[2]
		path := filepath.Join("my-policy", m[1])
		if m[1] == "call.json" {
			path = m[1]
		}
		if err := os.WriteFile(path, []byte(m[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(files) != 4 {
		t.Fatalf("the page has %d files", len(files))
	}
	p, out := on(t, "my-policy")
	if err := p.Check(t.Context()); err != nil || !strings.HasPrefix(out.String(), "fine: revision ") {
		t.Errorf("check: %v\n%s", err, out)
	}
	p, out = on(t, "my-policy")
	if err := p.Test(t.Context(), policycmd.TestOptions{Threshold: 100}); err != nil {
		t.Errorf("test: %v\n%s", err, out)
	}
	p, out = on(t, "my-policy")
	if err := p.Explain(t.Context(), []byte(files["call.json"]), false); err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "policy explain my-policy call.json\n")
	console, _, _ := strings.Cut(after, "```")
	for line := range strings.Lines(console) {
		line = strings.TrimSuffix(strings.TrimRight(line, "\n"), "…")
		if !strings.Contains(out.String(), line) {
			t.Errorf("the page has %q, which is not in\n%s", line, out)
		}
	}
}

func TestEval(t *testing.T) {
	p, out := on(t, fixtures+"policy-dev")
	err := p.Eval(t.Context(), []byte(`{"v":1,"principal":{"id":"agent_api","prefix":"mcp/agent_api","scopes":["write"]},
		"action":{"op":"transit.encrypt","engine":"transit","effect":"write"},"resource":{"path":"mcp"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Allow  bool   `json:"allow"`
		Prefix string `json:"path_prefix"`
	}
	if err := json.Unmarshal(out.Bytes(), &d); err != nil || !d.Allow || d.Prefix != "mcp" {
		t.Errorf("%v: %s", err, out)
	}
	for _, wrong := range []string{`{`, `{"v":1}`, `{"v":1,"principal":{"id":"a"},"action":{"op":"x"},"resource":{"path":"../x"}}`, `{"v":1,"principal":{"id":"a","role":[]},"action":{"op":"x"}}`} {
		if err := p.Eval(t.Context(), []byte(wrong)); err == nil {
			t.Errorf("%s is taken for an input", wrong)
		}
	}
}

// Who asks need not know what the catalogue knows, and the answer has the form that the
// manual shows.
func TestEvalOfAShortQuestion(t *testing.T) {
	p, out := on(t, "")
	short := `{"v":1,"principal":{"id":"a","prefix":"mcp/a","scopes":["read"]},"action":{"op":"kv.read"},"resource":{"path":"mcp/a/x"}}`
	if err := p.Eval(t.Context(), []byte(short)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"allow": true`, `"reasons": []`, `"transforms": []`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
	if err := p.Eval(t.Context(), []byte(strings.Replace(short, "kv.read", "kv.raed", 1))); err == nil || !strings.Contains(err.Error(), `"kv.raed"`) {
		t.Errorf("got %v", err)
	}
}

// What only a grant would allow, a grant is named for.
func TestExplainNamesTheGrant(t *testing.T) {
	for question, want := range map[string]string{
		`{"v":1,"principal":{"id":"a","scopes":["write"]},"action":{"op":"db.issue_creds"},"resource":{"path":"readonly"}}`: `the data {"grants":{"subjects":{"a":{"db":{"readonly":{}}}}}}`,
		`{"v":1,"principal":{"id":"a","tenant":"acme"},"action":{"op":"kv.read"},"resource":{"path":"shared/x"}}`:           `the scope read, and the data {"tenants":{"acme":{"subjects":{"a":{"kv":{"shared/x":{}}}}}}}`,
		`{"v":1,"principal":{"id":"a","prefix":"mcp/a"},"action":{"op":"kv.read"},"resource":{"path":"mcp/a/x"}}`:           "  the scope read\n",
	} {
		p, out := on(t, "")
		if err := p.Explain(t.Context(), []byte(question), false); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%v, no %s in\n%s", err, want, out)
		}
	}
}

// A policy of one file is reported by the file's own name.
func TestCheckOfOneFile(t *testing.T) {
	p, out := on(t, fixtures+"policy-good/payments.rego")
	if err := p.Check(t.Context()); !errors.Is(err, policycmd.ErrFound) || !strings.Contains(out.String(), "policy-good/payments.rego:") || strings.Contains(out.String(), "payments.rego/") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestJUnitAndThreshold(t *testing.T) {
	var junit bytes.Buffer
	p, out := on(t, fixtures+"policy-good")
	if err := p.Test(t.Context(), policycmd.TestOptions{JUnit: &junit, Threshold: 100}); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(junit.String(), `<testsuite name="policy" tests="5" failures="0">`) {
		t.Error(junit.String())
	}
	p, _ = on(t, fixtures+"policy-bad/deny-true") // has no test
	if err := p.Test(t.Context(), policycmd.TestOptions{Threshold: 1}); !errors.Is(err, policycmd.ErrFound) {
		t.Errorf("nothing covered: got %v", err)
	}
}

// record makes a decision log of n calls with another resource each.
func record(t *testing.T, dir string, n int) string {
	t.Helper()
	log := filepath.Join(t.TempDir(), "decisions.jsonl")
	cat := catalogue(t)
	e, err := policy.Open(policy.Config{Dir: dir, Catalogue: cat, LogFile: log, LogKey: []byte("k"), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	prefix, err := call.ParsePath("mcp/agent_api")
	if err != nil {
		t.Fatal(err)
	}
	c := &call.Caller{Subject: "agent_api", Kind: "agent", Prefix: prefix, Scopes: []string{"read", "write"}}
	for i := range n {
		r := &op.Request{Op: "kv.read", Caller: c, Args: fmt.Appendf(nil, `{"path":"p%d/x"}`, i%100), Time: time.Unix(1_700_000_000+int64(i)*10, 0)}
		if i%4 == 3 {
			r.Op, r.Args = "transit.hmac", fmt.Appendf(nil, `{"key":"%s","input":"aGk="}`, []string{"mcp", "none"}[i/4%2])
		}
		b, err := cat.Bind(r)
		if err != nil {
			t.Fatal(err)
		}
		e.Decide(t.Context(), b)
		if i%1000 == 0 {
			e.Flush()
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return log
}

func TestReplayPrintsExactlyTheCallsThatFlip(t *testing.T) {
	const n = 10_000
	log := record(t, fixtures+"policy-dev", n)
	candidate := t.TempDir()
	for name, text := range map[string]string{
		// The key mcp is withdrawn, none is granted, and one path is closed.
		"data.yaml": "grants: {subjects: {agent_api: {transit: {none: {}}}}}\n",
		"x.rego": `package policy.deny.x

import rego.v2

# METADATA
# custom:
#   id: x.closed
deny contains {"code": "x.closed", "msg": "closed", "rule": "x.closed"} if "mcp/agent_api/p4" in input.resource.ancestors
`,
		"x_test.rego": `package policy.deny.x_test

import rego.v2

test_closed if count(data.policy.deny.x.deny) == 1 with input as {"resource": {"ancestors": ["mcp/agent_api/p4"]}}
`,
	} {
		if err := os.WriteFile(filepath.Join(candidate, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replay := func(dir string) (policycmd.Replayed, string, error) {
		f, err := os.Open(log)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		p, out := on(t, dir)
		r, err := p.Replay(t.Context(), f)
		return r, out.String(), err
	}
	if r, out, err := replay(fixtures + "policy-dev"); err != nil || r.Decisions != n || r.Flips != 0 || r.Limited != 0 {
		t.Errorf("against itself: %+v, %v\n%s", r, err, out)
	}
	r, out, err := replay(candidate)
	if !errors.Is(err, policycmd.ErrFound) || r.Decisions != n {
		t.Fatalf("%+v, %v", r, err)
	}
	withdrawn, granted, closed := n/8, n/8, n/100
	if r.Flips != withdrawn+granted+closed {
		t.Errorf("%d flips, want %d", r.Flips, withdrawn+granted+closed)
	}
	for what, want := range map[string]int{"resource.denied\n": withdrawn, "no more resource.denied\n": granted, "x.closed\n": closed} {
		got := strings.Count(out, "  "+what)
		if got != want {
			t.Errorf("%d rows end in %q, want %d", got, what, want)
		}
	}
}

// What the log lacks because the policy of then did not read it cannot be replayed, and
// an explanation says so.
func TestReplayOfAPolicyThatReadsMoreThanWasRecorded(t *testing.T) {
	log := record(t, fixtures+"policy-dev", 8)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"x.rego": `package policy.deny.x

import rego.v2

# METADATA
# custom:
#   id: x.old
deny contains {"code": "x.old", "msg": "old", "rule": "x.old"} if {
	input.action.op == "kv.read"
	not input.args.values.version
}
`,
		"x_test.rego": `package policy.deny.x_test

import rego.v2

test_old if count(data.policy.deny.x.deny) == 1 with input as {"action": {"op": "kv.read"}}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	p, out := on(t, dir)
	r, err := p.Replay(t.Context(), bytes.NewReader(raw))
	if err != nil || r.NotReplayable != 8 || r.Decisions != 0 {
		t.Errorf("%+v, %v\n%s", r, err, out)
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	if err := p.Explain(t.Context(), line, false); err != nil || !strings.Contains(out.String(), "the record lacks or hides") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestReplayShowsWhomATierWouldLimit(t *testing.T) {
	log := record(t, fixtures+"policy-dev", 20) // one call in ten seconds
	dir := t.TempDir()
	data := "grants: {subjects: {agent_api: {tier: slow, transit: {mcp: {}}}}}\ntiers: {slow: {requests: 3, window_s: 60, burst: 1}}\n"
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, out := on(t, dir)
	r, err := p.Replay(t.Context(), f)
	if err != nil || r.Limited != 10 || r.Flips != 0 {
		t.Errorf("%+v, %v, want 10 limited\n%s", r, err, out)
	}
}

// A line that a crash cut off hides none of the others, and tighter terms are told.
func TestReplayGoesOnAfterALineThatIsNone(t *testing.T) {
	log, err := os.ReadFile(record(t, fixtures+"policy-dev", 20))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(fixtures + "policy-dev/data.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	data = append(data, "\nobligations: {kv.read: {max_ttl_s: 60}}\n"...)
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	p, out := on(t, dir)
	r, err := p.Replay(t.Context(), strings.NewReader("{\"v\":1,\n"+string(log)))
	if err == nil || !strings.Contains(err.Error(), "line 1 of") || r.Decisions != 20 || r.Changed == 0 || r.Flips != 0 {
		t.Errorf("%+v, %v\n%s", r, err, out)
	}
	if !strings.Contains(out.String(), "20 decisions replayed") {
		t.Errorf("got %s", out)
	}
}

func TestFindAndExplainARecord(t *testing.T) {
	log := record(t, fixtures+"policy-dev", 8)
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(raw), []byte("\n"))
	var last policy.Record
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil || last.Allow {
		t.Fatalf("the last record: %v, %+v", err, last)
	}
	line, err := policycmd.Find(bytes.NewReader(raw), last.ID)
	if err != nil {
		t.Fatal(err)
	}
	p, out := on(t, fixtures+"policy-dev")
	if err := p.Explain(t.Context(), line, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"denied: agent_api transit.hmac", "rule gateway.resource at policies/gateway/", `the resource "mcp"`, "what did not hold:"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, err := policycmd.Find(bytes.NewReader(raw), "none"); err == nil {
		t.Error("a record that is not there is found")
	}
}

func TestInspect(t *testing.T) {
	p, out := on(t, fixtures+"policy-good")
	if err := p.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cacheable  true", "payments.cards", "context.time.hour_utc", "tier  ci        600 in 1m0s"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func ExampleFind() {
	log := `{"v":1,"id":"d1","input":{"v":1}}
{"v":1,"id":"d1","shadow":"r2","diff":"would_deny"}
{"v":1,"id":"d2","input":{"v":1}}`
	line, err := policycmd.Find(strings.NewReader(log), "d1")
	fmt.Println(string(line), err)
	// Output: {"v":1,"id":"d1","input":{"v":1}} <nil>
}
