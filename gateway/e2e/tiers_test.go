package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"portcullis/gateway/e2e"
)

// TestATierBoundsStreams: the data give the tier one stream; the second is refused,
// and when the first has ended there is room again.
func TestATierBoundsStreams(t *testing.T) {
	dir := t.TempDir()
	data := "tiers:\n  standard: {requests: 60, window_s: 60, streams: 1, concurrent: 4}\n"
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	g := e2e.StartGateway(t, e2e.StartVault(t), "POLICY_DIR="+dir)
	first := openEvents(t, g.URL)
	if first.StatusCode != http.StatusOK {
		t.Fatalf("first stream: got %d", first.StatusCode)
	}
	second := openEvents(t, g.URL)
	if second.StatusCode != http.StatusTooManyRequests || second.Header.Get("Retry-After") == "" {
		t.Errorf("second stream: got %d %v, want 429 with Retry-After", second.StatusCode, second.Header)
	}
	_ = second.Body.Close()
	_ = first.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		third := openEvents(t, g.URL)
		_ = third.Body.Close()
		if third.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the first has ended: got %d", third.StatusCode)
		}
	}
}

// openEvents opens GET /events; the body is the stream.
func openEvents(t *testing.T, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", e2e.Key)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
