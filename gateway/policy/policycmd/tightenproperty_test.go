package policycmd_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy"
)

// request is a call of one of few callers on one of few names.
func (r random) request(t testing.TB) *op.Request {
	t.Helper()
	c := &call.Caller{Subject: r.one("s", "s1", "other"), Tenant: r.one("", "", "t"), Kind: "agent", Method: call.JWT, Scopes: []string{"read", "list", "write", "delete"}}
	var err error
	if c.Prefix, err = call.ParsePath("mcp/" + c.Subject); err != nil {
		t.Fatal(err)
	}
	if r.IntN(2) == 0 {
		c.Roles = []string{r.one("r", "r1", "s")}
	}
	if r.IntN(2) == 0 {
		c.Claims = map[string]any{"team": r.one("a", "b")}
	}
	if r.IntN(3) == 0 {
		c.Behalf = &call.Caller{Subject: r.one("other", "s", "r"), Tenant: r.one(c.Tenant, "t"), Kind: "human", Method: call.JWT, Scopes: c.Scopes, Prefix: c.Prefix}
	}
	q := &op.Request{Caller: c, Time: time.Unix(1_700_000_000, 0), Op: r.one("kv.read", "kv.list", "kv.delete", "transit.encrypt", "transit.decrypt")}
	key := r.one("k", "k1", "s", "k-r")
	switch q.Op {
	case "kv.list":
		q.Args = []byte(`{"prefix":"kv://secret/` + r.path() + `"}`)
	case "transit.encrypt":
		q.Args = []byte(`{"key":"` + key + `","plaintext":"aGk="}`)
	case "transit.decrypt":
		q.Args = []byte(`{"key":"` + key + `","ciphertext":"vault:v1:x"}`)
	default:
		q.Args = []byte(`{"path":"kv://secret/` + r.path() + `"}`)
	}
	return q
}

// logs is how many logs one policy is tightened by; opening a policy costs more than all
// of them do.
const (
	logs     = 4
	logCalls = 60
)

// Under a tightened policy no recorded call is answered otherwise, what it shows is the
// same, and there is nothing more to tighten.
func TestTightenedPoliciesAnswerRecordedCallsAlike(t *testing.T) {
	r, tried := random{rand.New(rand.NewPCG(3, *seed))}, tightening{}
	for range max(*bundles/40, 1) {
		raw, err := yaml.Marshal(map[string]any{"version": 2, "grants": r.table(), "tenants": map[string]any{"t": r.table()}})
		if err != nil {
			t.Fatal(err)
		}
		dir := dirOf(t, map[string]string{"data.yaml": string(raw)})
		for _, log := range r.recorded(t, dir) {
			tried.tighten(t, dir, log)
		}
	}
	t.Logf("%+v", tried)
	if tried.Changed == 0 || tried.Logs == 0 {
		t.Errorf("%+v: nothing was tightened", tried)
	}
}

// recorded are logs of calls that a policy decided.
func (r random) recorded(t *testing.T, dir string) []string {
	t.Helper()
	cat, log := catalogue(t), filepath.Join(t.TempDir(), "d.jsonl")
	e, err := policy.Open(policy.Config{Dir: dir, Catalogue: cat, LogFile: log, LogKey: []byte("k"), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for range logs * logCalls {
		b, err := cat.Bind(r.request(t))
		if err != nil {
			t.Fatal(err)
		}
		e.Decide(t.Context(), b)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for lines := range slices.Chunk(strings.SplitAfter(strings.TrimSuffix(string(raw), "\n"), "\n"), logCalls) {
		out = append(out, strings.Join(lines, ""))
	}
	return out
}

// tightening counts what the property was tried with.
type tightening struct{ Logs, Calls, Changed int }

// tighten tightens a policy by one log and holds the result against it.
func (n *tightening) tighten(t *testing.T, dir, log string) {
	t.Helper()
	if !strings.Contains(log, `"allow":true`) {
		return
	}
	n.Logs++
	n.Calls += logCalls
	tight := filepath.Join(t.TempDir(), "tight")
	p, out := on(t, dir)
	if err := p.Tighten(t.Context(), strings.NewReader(log), tight); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, dataOf(t, dir))
	}
	if !strings.Contains(out.String(), "0 changes") {
		n.Changed++
	}
	p, out = on(t, tight)
	if res, err := p.Replay(t.Context(), strings.NewReader(log)); err != nil || res.Flips != 0 || res.Decisions != logCalls {
		t.Fatalf("replay: %+v, %v\n%s\n%s", res, err, out, dataOf(t, dir))
	}
	p, out = on(t, tight)
	if err := p.Tighten(t.Context(), strings.NewReader(log), filepath.Join(t.TempDir(), "again")); err != nil || !strings.Contains(out.String(), "0 changes") {
		t.Fatalf("a second run: %v\n%s\n%s", err, out, dataOf(t, dir))
	}
	old, _ := on(t, dir)
	p, out = on(t, tight)
	if err := p.Diff(t.Context(), old); err != nil {
		t.Fatalf("the tightened policy widens: %v\n%s\n%s", err, out, dataOf(t, dir))
	}
}

func dataOf(t *testing.T, dir string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "data.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
