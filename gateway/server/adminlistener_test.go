package server_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/vault/vaulttest"
)

// TestAdministratorsAreServedWhenCallersAreRefused: what callers have used up, and memory
// that runs out, is no reason to refuse those who look into it. Who lacks a scope of
// theirs is refused on record.
func TestAdministratorsAreServedWhenCallersAreRefused(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := "http://" + l.Addr().String()
	_ = l.Close()
	dir := t.TempDir()
	t.Setenv("ADMIN_ADDR", strings.TrimPrefix(admin, "http://"))
	t.Setenv("ADMIN_OPEN_METRICS", "true")
	t.Setenv("AUDIT_FILE", filepath.Join(dir, "evidence.jsonl"))
	addr := "http://" + inProcess(t, vaulttest.Start(t))
	get := func(url string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-Key", "dev-api-key")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	before := debug.SetMemoryLimit(1 << 20)
	defer debug.SetMemoryLimit(before)
	deadline := time.Now().Add(20 * time.Second)
	for get(addr+"/whoami") != http.StatusServiceUnavailable { // a look holds for a while
		if time.Now().After(deadline) {
			t.Fatal("callers are served without memory")
		}
	}
	for path, want := range map[string]int{"/metrics": 200, "/": 200, "/leases": 403} {
		if got := get(admin + path); got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
	debug.SetMemoryLimit(before)
	raw, err := os.ReadFile(filepath.Join(dir, "evidence.jsonl"))
	if err != nil || !bytes.Contains(raw, []byte(`"op":"admin.leases"`)) || !bytes.Contains(raw, []byte("insufficient_scope")) {
		t.Errorf("the refusal is not on record: %v %s", err, raw)
	}
}
