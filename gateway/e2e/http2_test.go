package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
)

// TestHTTP2WithoutTLS: meshes and container platforms speak it to what is behind them
// (RFC 9113 section 3.3, prior knowledge).
func TestHTTP2WithoutTLS(t *testing.T) {
	g := e2e.StartGateway(t, e2e.StartVault(t))
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	for _, path := range []string{"/healthz", "/whoami", "/openapi.json"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-API-Key", e2e.Key)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || !strings.HasPrefix(string(body), "{") {
			t.Errorf("%s: got %d over HTTP/%d, %v", path, resp.StatusCode, resp.ProtoMajor, err)
		}
	}
}
