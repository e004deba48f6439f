package audit_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/transform/native"
	"portcullis/gateway/vault"
)

type in struct {
	Path call.Path       `json:"path"`
	Data call.Secret     `json:"data,omitempty"`
	Note json.RawMessage `json:"note,omitempty"`
}

func (i *in) Target(op.At) (call.Resource, error) {
	return call.Resource{Mount: "secret", Path: i.Path}, nil
}

func record(t testing.TB, args string) *op.Record {
	t.Helper()
	cat, err := op.NewCatalogue(op.New(op.Spec{Name: "kv.write", Engine: "kv", Mount: "secret", Effect: op.Write},
		func(context.Context, *vault.Session, in) (struct{}, error) { return struct{}{}, nil }))
	if err != nil {
		t.Fatal(err)
	}
	req := &op.Request{ID: "r1", Transport: op.REST, Op: "kv.write", Args: []byte(args), Caller: &call.Caller{Subject: "bot", Method: call.APIKey}}
	b, err := cat.Bind(req)
	if err != nil {
		t.Fatal(err)
	}
	return &op.Record{Request: req, Bound: b, Decision: op.Decision{ID: "d1", Allow: true, Tier: "standard"}, Start: time.Now()}
}

func lines(t *testing.T, path string) []map[string]any {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out []map[string]any
	for s := bufio.NewScanner(f); s.Scan(); {
		var m map[string]any
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		out = append(out, m)
	}
	return out
}

func TestLinesAreThereWhenTheMethodReturns(t *testing.T) {
	for _, group := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "new", "audit.jsonl")
		l := audit.Open(audit.Config{Path: path, Group: group})
		r := record(t, `{"path":"mcp/bot/app","data":"canary-4711"}`)
		if err := l.Intent(r); err != nil {
			t.Fatal(err)
		}
		if got := lines(t, path); len(got) != 1 || got[0]["type"] != "intent" || got[0]["path"] != "mcp/bot/app" || got[0]["subject"] != "bot" {
			t.Errorf("got %v, want the intent", got)
		}
		r.Err = call.Wrap(call.VaultError, "Vault error", errors.New("canary-4711"))
		if err := l.Outcome(r); err != nil {
			t.Fatal(err)
		}
		got := lines(t, path)
		if len(got) != 2 || got[1]["type"] != "outcome" || got[1]["code"] != "vault_error" {
			t.Errorf("got %v, want the outcome", got)
		}
		raw, err := os.ReadFile(path)
		if err != nil || strings.Contains(string(raw), "canary") {
			t.Errorf("a secret is in the file: %s %v", raw, err)
		}
	}
}

func TestStrangeTextIsOneLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := audit.Open(audit.Config{Path: path})
	r := record(t, `{"path":"a"}`)
	r.Request.Op, r.Request.ID = "x\n\"y\xff", "\u2028"
	if err := l.Refusal(r); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, path); len(got) != 1 {
		t.Errorf("got %d lines, want 1", len(got))
	}
}

// TestS29_FullDiskIsSeenAtOnce: the first record that does not fit is refused.
func TestS29_FullDiskIsSeenAtOnce(t *testing.T) {
	l := audit.Open(audit.Config{Path: "/dev/full"})
	if err := l.Intent(record(t, `{"path":"a"}`)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want %v", err, syscall.ENOSPC)
	}
}

func TestFileComesBack(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "d", "audit.jsonl")
	if err := os.WriteFile(filepath.Join(dir, "d"), nil, 0o600); err != nil { // a file where a directory is needed
		t.Fatal(err)
	}
	l := audit.Open(audit.Config{Path: path})
	r := record(t, `{"path":"a"}`)
	if err := l.Intent(r); err == nil {
		t.Fatal("written nowhere")
	}
	if err := os.Remove(filepath.Join(dir, "d")); err != nil {
		t.Fatal(err)
	}
	if err := l.Intent(r); err != nil {
		t.Errorf("after the obstacle is gone: %v", err)
	}
}

func TestConcurrentRecordsStayWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := audit.Open(audit.Config{Path: path, Group: true})
	r := record(t, `{"path":"a"}`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if err := l.Intent(r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(lines(t, path)); got != 400 {
		t.Errorf("got %d lines, want 400", got)
	}
}

// TestALineCostsFewAllocations: those of the arguments' own types, and none of the chain,
// the time and the shared write.
func TestALineCostsFewAllocations(t *testing.T) {
	l := audit.Open(audit.Config{Path: filepath.Join(t.TempDir(), "audit.jsonl")})
	r := record(t, `{"path":"mcp/bot/app"}`)
	if n := testing.AllocsPerRun(200, func() {
		if err := l.Intent(r); err != nil {
			t.Fatal(err)
		}
	}); n > 4 {
		t.Errorf("a line costs %v allocations, want 4 at most", n)
	}
}

// TestAnOutcomeRepeatsItsIntent: what an outcome says beside what came of the call is what
// a record of its own would say.
func TestAnOutcomeRepeatsItsIntent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := audit.Open(audit.Config{Path: path})
	r := record(t, `{"path":"mcp/bot/app","note":{"a":["b"]}}`)
	r.Request.Caller.Behalf = &call.Caller{Subject: "ann", Tenant: "acme", TokenID: "jti"}
	r.Request.Client.Session, r.Decision.Reasons, r.Decision.Obligations.Masked = "s1", []op.Reason{{Code: "c"}}, true
	details := record(t, `{"path":"mcp/bot/app"}`)
	details.Bound, details.Request.Details = nil, []op.Detail{{Name: "subject", Value: "x"}}
	for _, r := range []*op.Record{r, details} {
		alone := *r
		if err := errors.Join(l.Intent(r), l.Outcome(r), l.Outcome(&alone)); err != nil {
			t.Fatal(err)
		}
	}
	all := lines(t, path)
	for _, m := range all {
		for _, k := range []string{"seq", "prev", "time", "duration_us"} {
			delete(m, k)
		}
	}
	for i := 0; i < len(all); i += 3 {
		if !reflect.DeepEqual(all[i+1], all[i+2]) {
			t.Errorf("got  %v\nwant %v", all[i+1], all[i+2])
		}
		for k, v := range all[i] {
			if k != "type" && !reflect.DeepEqual(all[i+1][k], v) {
				t.Errorf("the outcome has %s %v, the intent %v", k, all[i+1][k], v)
			}
		}
	}
}

func BenchmarkIntent(b *testing.B) {
	l := audit.Open(audit.Config{Path: filepath.Join(b.TempDir(), "audit.jsonl")})
	r := record(b, `{"path":"mcp/bot/app"}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Intent(r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCall is both lines of a call.
func BenchmarkCall(b *testing.B) {
	floor := native.New()
	l := audit.Open(audit.Config{Path: filepath.Join(b.TempDir(), "audit.jsonl"), Redact: floor.AppendValue, Sign: true})
	r := record(b, `{"path":"mcp/bot/app"}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := errors.Join(l.Intent(r), l.Outcome(r)); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleOpen() {
	l := audit.Open(audit.Config{Path: "/dev/null"})
	fmt.Println(l.Check(), l.Close())
	// Output: <nil> <nil>
}
