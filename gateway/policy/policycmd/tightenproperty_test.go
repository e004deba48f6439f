package policycmd_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
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

// Under a tightened policy no recorded call is answered otherwise, what it shows is the
// same, and there is nothing more to tighten.
func TestTightenedPoliciesAnswerRecordedCallsAlike(t *testing.T) {
	r, cat, changes := random{rand.New(rand.NewPCG(3, *seed))}, catalogue(t), 0
	for range max(*bundles/10, 1) {
		raw, err := yaml.Marshal(map[string]any{"version": 2, "grants": r.table(), "tenants": map[string]any{"t": r.table()}})
		if err != nil {
			t.Fatal(err)
		}
		dir, log := dirOf(t, map[string]string{"data.yaml": string(raw)}), filepath.Join(t.TempDir(), "d.jsonl")
		e, err := policy.Open(policy.Config{Dir: dir, Catalogue: cat, LogFile: log, LogKey: []byte("k"), Timeout: time.Minute})
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		allowed := 0
		for range 60 {
			b, err := cat.Bind(r.request(t))
			if err != nil {
				t.Fatal(err)
			}
			if e.Decide(t.Context(), b).Allow {
				allowed++
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		recorded, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if allowed == 0 {
			continue
		}
		tight := filepath.Join(t.TempDir(), "tight")
		p, out := on(t, dir)
		if err := p.Tighten(t.Context(), strings.NewReader(string(recorded)), tight); err != nil {
			t.Fatalf("%v\n%s\n%s", err, out, raw)
		}
		if !strings.Contains(out.String(), "0 changes") {
			changes++
		}
		p, out = on(t, tight)
		if res, err := p.Replay(t.Context(), strings.NewReader(string(recorded))); err != nil || res.Flips != 0 || res.Decisions != 60 {
			t.Fatalf("replay: %+v, %v\n%s\n%s", res, err, out, raw)
		}
		p, out = on(t, tight)
		if err := p.Tighten(t.Context(), strings.NewReader(string(recorded)), filepath.Join(t.TempDir(), "again")); err != nil || !strings.Contains(out.String(), "0 changes") {
			t.Fatalf("a second run: %v\n%s\n%s", err, out, raw)
		}
		old, _ := on(t, dir)
		p, out = on(t, tight)
		if err := p.Diff(t.Context(), old); err != nil {
			t.Fatalf("the tightened policy widens: %v\n%s\n%s", err, out, raw)
		}
	}
	if changes == 0 {
		t.Error("nothing was tightened")
	}
}
