package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/retry"
)

var (
	outage     = flag.Duration("outage", 300*time.Millisecond, "how long a disk is full, and a receiver away or slow")
	outageRate = flag.Int("outage-rate", 200, "calls a second meanwhile")
)

// tallied is what became of calls, by the error's code or ok.
type tallied struct {
	mu    sync.Mutex
	codes map[string]int
	done  []string // request ids of those that were answered with success
}

func (a *tallied) of(code string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.codes[code]
}

// load writes secrets at an eighth of the rate until ctx ends.
func (a *tallied) load(ctx context.Context, t *testing.T, g *stack.Gateway, caller int) {
	t.Helper()
	next := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("load-%d-%d", caller, n)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, fmt.Sprintf("%s/secrets/load%d", g.URL, caller), strings.NewReader(`{"data":{"n":"v"}}`))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("X-API-Key", e2e.Key)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Request-Id", id)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		var answer struct{ Error struct{ Code string } }
		_ = json.NewDecoder(resp.Body).Decode(&answer) // without a code it is counted by its status
		_ = resp.Body.Close()
		code := answer.Error.Code
		if resp.StatusCode == http.StatusOK {
			code = "ok"
		} else if code == "" {
			code = resp.Status
		}
		a.mu.Lock()
		if a.codes[code]++; code == "ok" {
			a.done = append(a.done, id)
		}
		a.mu.Unlock()
		next = next.Add(8 * time.Second / time.Duration(*outageRate))
		retry.Sleep(ctx, time.Until(next))
	}
}

// memoryFor samples the resident memory of the gateway, in bytes, a hundred times in d.
func memoryFor(ctx context.Context, t *testing.T, g *stack.Gateway, d time.Duration) (out []int) {
	t.Helper()
	for range 100 {
		retry.Sleep(ctx, d/100)
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", g.PID()))
		if err != nil {
			t.Fatal(err)
		}
		pages, err := strconv.Atoi(string(bytes.Fields(raw)[1]))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pages*os.Getpagesize())
	}
	return out
}

// isFlat fails when the median of the last quarter is well beyond that of the second, and
// the samples were taken over so long that this says something.
func isFlat(t *testing.T, samples []int) {
	t.Helper()
	if *outage < 10*time.Second {
		return
	}
	median := func(of []int) int { return slices.Sorted(slices.Values(of))[len(of)/2] }
	q := len(samples) / 4
	if early, late := median(samples[q:2*q]), median(samples[3*q:]); late > early+early/6+32<<20 {
		t.Errorf("resident memory grew from %d to %d bytes", early, late)
	}
}

func span(samples []int) string {
	return fmt.Sprintf("%.1f to %.1f MiB", float64(slices.Min(samples))/(1<<20), float64(slices.Max(samples))/(1<<20))
}
