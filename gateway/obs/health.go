package obs

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// Health answers the probes. Live means that the process runs; ready means that
// calls can succeed.
type Health struct {
	Vault func(context.Context) error
	// Parts report further parts by name; a part that is not ok makes the gateway not
	// ready, one that is degraded is only told.
	Parts map[string]func() Part

	mu      sync.Mutex // guards the fields below; probes within a second share one look at Vault
	checked time.Time
	vault   Part
}

// Part is the state of one part, in public words.
type Part struct {
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// probeEvery bounds how often probes reach Vault.
const probeEvery = time.Second

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

func (h *Health) look(ctx context.Context) Part {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.checked) < probeEvery {
		return h.vault
	}
	h.vault = Part{OK: true, Detail: "ready"}
	if err := h.Vault(ctx); err != nil {
		h.vault = Part{Detail: call.AsError(err).Msg}
	}
	h.checked = time.Now()
	return h.vault
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }

func writeText(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the reader is gone when this fails
}
