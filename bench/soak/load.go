package soak

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/retry"
)

// call is one request and what its answer must contain.
type call struct{ key, method, path, body, want string }

// mix is what each caller does, in this order, over and over.
func mix(key string, n int) call {
	tool := func(id int, name, arguments string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, id, name, arguments)
	}
	value := fmt.Sprintf("obviously-fake-%d", n/6)
	return []call{
		{key, http.MethodPut, "/secrets/soak/app", `{"data":{"v":"` + value + `"}}`, ""},
		{key, http.MethodGet, "/secrets/soak/app", "", "obviously-fake"},
		{key, http.MethodPost, "/transit/encrypt", `{"key":"mcp","plaintext":"YQ=="}`, "vault:v1:"},
		{key, http.MethodPost, "/mcp/rpc", tool(n, "kv_read", `{"path":"soak/app"}`), "obviously-fake"},
		{key, http.MethodPost, "/mcp/rpc", tool(n, "kv_list", `{}`), "soak"},
		{key, http.MethodGet, "/whoami", "", callers[key]},
	}[n%6]
}

// load makes calls at the rate until ctx ends. The first writes what others read.
func (r *run) load(ctx context.Context, key string) {
	for n := 0; ctx.Err() == nil; n++ {
		f := r.send(ctx, mix(key, n))
		if ctx.Err() != nil {
			return // nobody waits for the answer any more
		}
		r.mu.Lock()
		if r.calls++; f != nil && len(r.failures) < 100_000 {
			r.failures = append(r.failures, *f)
		}
		r.mu.Unlock()
		retry.Sleep(ctx, time.Second/time.Duration(r.Rate))
	}
}

// send sends a call, and returns nil when it was answered as it should be.
func (r *run) send(ctx context.Context, c call) *failure {
	f := &failure{at: span{from: time.Now()}}
	status, body, err := r.exchange(ctx, c)
	f.at.to = time.Now()
	good := err == nil && status == http.StatusOK && strings.Contains(body, c.want) && !strings.Contains(body, `"isError":true`)
	if good {
		return nil
	}
	f.what = fmt.Sprintf("%s %s: %d %.300s %v", c.method, c.path, status, body, err)
	// Codes of the README: Vault does not answer, or it is not known what it has done.
	f.away = err == nil && (strings.Contains(body, "vault_unavailable") || strings.Contains(body, "outcome_unknown") || strings.Contains(body, "vault_timeout"))
	return f
}

func (r *run) exchange(ctx context.Context, c call) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.method, r.gateway.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("X-API-Key", c.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := r.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

// listen reads events, on a new stream whenever one has ended.
func (r *run) listen(ctx context.Context, key string) {
	for ctx.Err() == nil {
		turn, end := context.WithTimeout(ctx, r.Every/2)
		if req, err := http.NewRequestWithContext(turn, http.MethodGet, r.gateway.URL+"/events", nil); err == nil {
			req.Header.Set("X-API-Key", key)
			if resp, err := r.client.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body) // until the turn ends
				_ = resp.Body.Close()
			}
		}
		end()
	}
}

// sample is what the gateway holds at a moment.
type sample struct{ resident, goroutines, files float64 }

func (s sample) String() string {
	return fmt.Sprintf("%.0f MiB, %.0f goroutines, %.0f descriptors", s.resident/(1<<20), s.goroutines, s.files)
}

// sample reads the gateway's own metrics, and counts its descriptors.
func (r *run) sample(ctx context.Context) error {
	_, body, err := r.exchange(ctx, call{method: http.MethodGet, path: "/metrics"})
	if err != nil {
		return err
	}
	found := map[string]float64{}
	for line := range strings.Lines(body) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			found[name], _ = strconv.ParseFloat(value, 64) // 0 for a comment
		}
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.gateway.PID()))
	if err != nil {
		return fmt.Errorf("descriptors need Linux: %w", err)
	}
	s := sample{found["process_resident_memory_bytes"], found["go_goroutines"], float64(len(files))}
	if s.resident == 0 || s.goroutines == 0 {
		return fmt.Errorf("/metrics says nothing of memory and goroutines: %s", s)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples = append(r.samples, s)
	return nil
}
