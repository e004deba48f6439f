package e2e_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

var kills = flag.Int("kills", 2, "how often TestKilledAtAnyMoment kills the gateway")

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
