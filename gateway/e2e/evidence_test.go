package e2e_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
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
	kills     = flag.Int("kills", 2, "how often TestKilledAtAnyMoment kills the gateway")
	rotations = flag.Int("rotations", 6, "how often TestRotationLosesNothing moves or removes the file")
	callers   = flag.Int("callers", 16, "callers at once in TestRotationLosesNothing")
)

// evidenceFiles are all files of evidence in a folder, whatever they are called, oldest
// first.
func evidenceFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "audit*.jsonl*"))
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]int{}
	for _, name := range names {
		for line := range lines(t, name) {
			if n, _ := fmt.Sscanf(string(line), `{"seq":%d,`, new(int)); n == 1 {
				seq := 0
				_, _ = fmt.Sscanf(string(line), `{"seq":%d,`, &seq) // it has just been read
				first[name] = seq
				break
			}
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return first[n] == 0 })
	slices.SortFunc(names, func(a, b string) int { return first[a] - first[b] })
	return names
}

// load lets callers write secrets until stop is closed, and returns how many calls were
// answered with success. A call that has no answer is of a gateway that was killed.
func load(t *testing.T, g *stack.Gateway, callers int, stop <-chan struct{}) *atomic.Int64 {
	t.Helper()
	var done atomic.Int64
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				req, err := http.NewRequestWithContext(t.Context(), "PUT", fmt.Sprintf("%s/secrets/load%d", g.URL, c), strings.NewReader(`{"data":{"n":"v"}}`))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("X-API-Key", e2e.Key)
				req.Header.Set("Content-Type", "application/json")
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					continue
				}
				if _ = resp.Body.Close(); resp.StatusCode == http.StatusOK {
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return &done
}

// TestKilledAtAnyMoment kills the gateway under load, again and again: the chain holds
// over all starts, and Vault has done nothing that is not on record.
func TestKilledAtAnyMoment(t *testing.T) {
	v := e2e.StartVault(t)
	root, dir := e2e.Root(t), t.TempDir()
	var g *stack.Gateway
	for n := range *kills + 1 {
		var err error
		g, err = stack.StartGateway(t.Context(), stack.GatewayOptions{
			Root: root, Dir: dir, Env: append(stack.DevEnv(root, v), withAppRole(v, "AUDIT_MAX_BYTES=262144")...),
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == *kills {
			break
		}
		stop := make(chan struct{})
		time.AfterFunc(time.Duration(20+rand.IntN(400))*time.Millisecond, func() {
			_ = g.Kill() // what remains of it is looked at below
			close(stop)
		})
		load(t, g, 8, stop)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	files := evidenceFiles(t, g.LogDir)
	if out, code := portcullis(t, nil, append([]string{"audit", "verify"}, files...)...); code != 0 {
		t.Errorf("verify: exit code %d: %s", code, out)
	}
	out, code := portcullis(t, nil, append(append([]string{"audit", "reconcile"}, files...), "--vault-audit", v.AuditFile)...)
	if code != 0 {
		t.Errorf("reconcile: exit code %d: %s", code, out)
	}
	t.Logf("%d files\n%s", len(files), out)
}

// TestRotationLosesNothing moves the file away, removes it and lets it become full under
// load: the number of outcomes is that of the answers, and the chain holds over all files.
func TestRotationLosesNothing(t *testing.T) {
	v := e2e.StartVault(t)
	g := e2e.StartGateway(t, v, "RATE_LIMIT_ENABLED=false", "AUDIT_MAX_BYTES=131072")
	stop := make(chan struct{})
	rotated := make(chan struct{})
	go func() {
		defer close(rotated)
		defer close(stop)
		for n := range *rotations {
			retry.Sleep(t.Context(), 250*time.Millisecond)
			var err error
			if n%2 == 0 {
				err = os.Rename(g.AuditFile(), filepath.Join(g.LogDir, fmt.Sprintf("audit.moved%d.jsonl", n)))
				if serr := g.Signal(syscall.SIGHUP); err == nil {
					err = serr
				}
			} else {
				err = os.Remove(g.AuditFile())
			}
			if err != nil && !os.IsNotExist(err) { // it has just become full
				t.Error(err)
			}
		}
	}()
	began := time.Now()
	answered := load(t, g, *callers, stop).Load()
	rate := float64(answered) / time.Since(began).Seconds()
	<-rotated
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	files, outcomes := evidenceFiles(t, g.LogDir), int64(0)
	for _, f := range files {
		for _, l := range e2e.CallLines(t, f) {
			if l["type"] == "outcome" && l["code"] == "ok" {
				outcomes++
			}
		}
	}
	if outcomes != answered || answered == 0 {
		t.Errorf("%d calls were answered, %d outcomes are on record in %q", answered, outcomes, files)
	}
	if out, code := portcullis(t, nil, append([]string{"audit", "verify"}, files...)...); code != 0 {
		t.Errorf("verify: exit code %d: %s", code, out)
	}
	t.Logf("%d calls, %.0f a second, %d files", answered, rate, len(files))
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
