package e2e_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/retry"
)

var (
	rotateFor   = flag.Duration("rotate-for", 500*time.Millisecond, "how long each kind of rotation goes on in TestRotationLosesNothing")
	rotateEvery = flag.Duration("rotate-every", 150*time.Millisecond, "how often the file is moved or removed in it")
	rotateRate  = flag.Int("rotate-rate", 500, "calls a second in it, of all callers")
	callers     = flag.Int("callers", 16, "callers at once in it")
)

// TestRotationLosesNothing moves the file away, removes it and lets it become full under
// calls of many callers. Each call is answered and has its intent and its outcome on
// record, and the chain holds over all files.
func TestRotationLosesNothing(t *testing.T) {
	v, moved := e2e.StartVault(t), 0
	for _, kind := range []struct {
		name   string
		env    []string
		rotate func(g *stack.Gateway) error // whose file may just have gone
	}{
		{"moved", nil, func(g *stack.Gateway) error {
			moved++
			if err := os.Rename(g.AuditFile(), filepath.Join(g.LogDir, fmt.Sprintf("audit.moved%d.jsonl", moved))); err != nil {
				return err
			}
			return g.Signal(syscall.SIGHUP)
		}},
		{"removed", nil, func(g *stack.Gateway) error { return os.Remove(g.AuditFile()) }},
		{"full", []string{"AUDIT_MAX_BYTES=65536", "AUDIT_COMPRESS=true"}, func(*stack.Gateway) error { return nil }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			g := e2e.StartGateway(t, v, append(kind.env, "RATE_LIMIT_ENABLED=false")...)
			ctx, end := context.WithCancel(t.Context())
			began := time.Now()
			go func() {
				defer end()
				for files := 0; time.Since(began) < *rotateFor || files < 3; {
					retry.Sleep(ctx, *rotateEvery)
					if err := kind.rotate(g); err != nil && !os.IsNotExist(err) {
						t.Error(err)
					}
					names, err := os.ReadDir(g.LogDir)
					if err != nil || time.Since(began) > *rotateFor+time.Minute {
						t.Error(err, names)
						return
					}
					files = len(slices.DeleteFunc(names, func(e os.DirEntry) bool {
						return !strings.Contains(e.Name(), ".jsonl") || !strings.HasPrefix(e.Name(), "audit")
					}))
				}
			}()
			sent := pacedLoad(ctx, t, g)
			took := time.Since(began)
			if err := g.Stop(); err != nil {
				t.Fatal(err)
			}
			everyCallIsOnRecord(t, g, sent, took)
		})
	}
}

// pacedLoad lets callers write secrets until ctx ends, and returns how many calls were
// sent, each of which was answered with success.
func pacedLoad(ctx context.Context, t *testing.T, g *stack.Gateway) int64 {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *callers}}
	defer client.CloseIdleConnections()
	var sent atomic.Int64
	var wg sync.WaitGroup
	for c := range *callers {
		wg.Go(func() {
			next := time.Now()
			for ctx.Err() == nil {
				sent.Add(1)
				if err := writeSecret(t.Context(), client, fmt.Sprintf("%s/secrets/load%d", g.URL, c)); err != nil {
					t.Error(err)
					return
				}
				next = next.Add(time.Second * time.Duration(*callers) / time.Duration(*rotateRate))
				retry.Sleep(ctx, time.Until(next))
			}
		})
	}
	wg.Wait()
	return sent.Load()
}

func writeSecret(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, strings.NewReader(`{"data":{"n":"v"}}`))
	if err != nil {
		return err
	}
	req.Header.Set("X-API-Key", e2e.Key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// everyCallIsOnRecord holds all files of evidence to the number of calls that were
// answered: two lines for each, and the chain over all of them.
func everyCallIsOnRecord(t *testing.T, g *stack.Gateway, calls int64, took time.Duration) {
	t.Helper()
	files, of := evidenceFiles(t, g.LogDir), map[string]map[string]int{"intent": {}, "outcome": {}}
	for _, f := range files {
		for line := range lines(t, f) {
			var l struct {
				Type, Op, Code string
				Decision       string `json:"decision_id"`
			}
			if err := json.Unmarshal(line, &l); err != nil {
				t.Fatalf("%s: %v in %q", f, err, line)
			}
			if seen := of[l.Type]; seen != nil && l.Op == "kv.write" && (l.Type == "intent" || l.Code == "ok") {
				seen[l.Decision]++
			}
		}
	}
	twice := 0
	for id, n := range of["intent"] {
		if n != 1 || of["outcome"][id] != 1 {
			twice++
		}
	}
	if n, m := len(of["intent"]), len(of["outcome"]); calls == 0 || int64(n) != calls || int64(m) != calls || twice > 0 {
		t.Errorf("%d calls were answered, %d intents and %d outcomes are on record, %d calls have not one of each, in %d files", calls, n, m, twice, len(files))
	}
	if out, code := portcullis(t, nil, append([]string{"audit", "verify"}, files...)...); code != 0 {
		t.Errorf("verify: exit code %d: %s", code, out)
	}
	t.Logf("%d calls, %.0f a second, %d lines of them, %d files", calls, float64(calls)/took.Seconds(), len(of["intent"])+len(of["outcome"]), len(files))
}

// copyTruncate is logrotate's copytruncate, with what happens between its two steps.
func copyTruncate(t *testing.T, file, to string, between func()) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(to, raw, 0o600)
	}
	if err == nil {
		between()
		err = os.Truncate(file, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCopytruncate: what is written between the copy and the truncation is gone, as
// copytruncate has it; a record says which line was the last one, and verify finds the gap,
// if there is one: where calls pause, only what the gateway writes of its own can be lost.
func TestCopytruncate(t *testing.T) {
	g := e2e.StartGateway(t, e2e.StartVault(t), "RATE_LIMIT_ENABLED=false")
	calls := func(n int) func() {
		return func() {
			for range n {
				e2e.Do(t, "GET", g.URL+"/secrets/app", "")
			}
		}
	}
	var files []string
	missing := "" // how verify says the first gap
	for i, between := range []int{0, 3} {
		calls(5)()
		file := filepath.Join(g.LogDir, fmt.Sprintf("copied-%d.jsonl", i))
		files = append(files, file)
		copyTruncate(t, g.AuditFile(), file, calls(between))
		var after []map[string]any
		said := func() (m map[string]any) {
			for _, l := range after {
				if l["type"] == "truncated" {
					m = l
				}
			}
			return m
		}
		e2e.Eventually(t, "a record that says so", func() bool {
			calls(1)()
			after = e2e.Lines(t, g.AuditFile())
			return said() != nil
		})
		before := e2e.Lines(t, file)
		end, begin := before[len(before)-1]["seq"].(float64), after[0]["seq"].(float64)
		lost := begin - end - 1
		if lost < float64(2*between) || said()["after_seq"].(float64) < begin-1 {
			t.Errorf("%v lines are lost, want at least %d; the copy ends with %v, the file begins with %v, and the record is %v", lost, 2*between, end, begin, said())
		}
		if lost > 0 && missing == "" {
			missing = fmt.Sprintf("number %v behind line %v: lines are missing", begin, end)
		}
		out, code := portcullis(t, nil, append([]string{"audit", "verify"}, append(slices.Clone(files), g.AuditFile())...)...)
		if (code == 0) != (missing == "") || !strings.Contains(out, missing) {
			t.Errorf("%v lines are lost, verify says %d: %s", lost, code, out)
		}
	}
}
