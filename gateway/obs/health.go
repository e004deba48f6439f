package obs

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/retry"
)

// Health answers the probes. Live means that the process runs; ready means that
// calls can succeed.
type Health struct {
	Vault func(context.Context) error
	// Parts report further parts by name; a part that is not ok makes the gateway not
	// ready, one that is degraded is only reported.
	Parts map[string]func() Part

	mu      sync.Mutex // guards the fields below
	checked time.Time
	vault   Part
	looking *retry.Shared[Part] // closed when the look at Vault that is under way has ended, nil when none is
}

// Part is the state of one part, in public words.
type Part struct {
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// How long a result stands, how long a look may take, how long a probe waits for one
// before it takes the last result, and until when that is still one.
const (
	probeEvery    = time.Second
	probeTimeout  = 8 * time.Second // a Vault that is busy is not away
	probePatience = 900 * time.Millisecond
	probeStale    = 10 * time.Second
)

// Healthz answers {"ok": true, "time": ...}, the blank behind the colon included:
// scripts look for it.
func (h *Health) Healthz(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, `{"ok": true, "time": "`+now()+`"}`)
}

// Livez answers {"ok": true}.
func (h *Health) Livez(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, `{"ok": true}`)
}

// Readyz answers 200 when calls can succeed and 503 otherwise.
func (h *Health) Readyz(w http.ResponseWriter, r *http.Request) {
	body := map[string]any{"time": now()}
	v := h.look(r.Context())
	body["vault"] = v
	ok := v.OK
	for name, f := range h.Parts {
		p := f()
		body[name] = p
		ok = ok && p.OK
	}
	body["ok"] = ok
	status := http.StatusOK
	if !ok {
		status = http.StatusServiceUnavailable
	}
	raw, err := json.Marshal(body)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"ok":false}`)
	}
	writeText(w, status, string(raw))
}

// look returns the state of Vault. Probes share one look at a time, which belongs to
// none of them: a probe that is given up ends its own wait, and says nothing about
// Vault to the others. While a look takes long, its predecessor's result stands.
func (h *Health) look(ctx context.Context) Part {
	h.mu.Lock()
	if time.Since(h.checked) < probeEvery {
		defer h.mu.Unlock()
		return h.vault
	}
	if h.looking == nil {
		h.looking = retry.Share(ctx, probeTimeout, h.check)
	}
	looking := h.looking
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	_, _ = looking.Wait(ctx) // what it found is kept
	return h.last()
}

// last is the newest result that is not too old to stand.
func (h *Health) last() Part {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.checked) > probeStale {
		return Part{Detail: "Vault has not answered yet"}
	}
	return h.vault
}

// check looks at Vault once. What it found is kept, also of a look that panicked.
func (h *Health) check(ctx context.Context) (p Part, _ error) {
	p = Part{Detail: "the look at Vault has failed"}
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.vault, h.checked, h.looking = p, time.Now(), nil
	}()
	if err := h.Vault(ctx); err != nil {
		p.Detail = call.AsError(err).Msg
		return p, nil
	}
	p = Part{OK: true, Detail: "ready"}
	return p, nil
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }

func writeText(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the reader is gone when this fails
}
