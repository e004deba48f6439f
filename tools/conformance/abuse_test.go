package conformance_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/e2e/stack"
)

// TestReleaseHasNoFixtures holds that the gateway does not link the suite's
// fixtures: they answer without Vault.
func TestReleaseHasNoFixtures(t *testing.T) {
	root, err := stack.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bin, err := os.ReadFile(filepath.Join(root, "bin", "portcullis"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"conformance/fixtures", "test_simple_text"} {
		if bytes.Contains(bin, []byte(s)) {
			t.Errorf("the gateway holds %s", s)
		}
	}
}

const listTools = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`

// TestAbuseEdge holds what is refused before a body is looked at.
func TestAbuseEdge(t *testing.T) {
	g, _ := newGateway(t, "CORS_ALLOW_ORIGINS=https://app.example")
	host := strings.TrimPrefix(g.URL, "http://")
	for _, tc := range []struct {
		name, method, path string
		headers            []string
		status             int
	}{
		{"as it should be", "POST", "/mcp/rpc", nil, 200},
		{"the own origin", "POST", "/mcp/rpc", []string{"Origin", g.URL}, 200},
		{"an allowed origin", "POST", "/mcp/rpc", []string{"Origin", "https://app.example"}, 200},
		{"another origin", "POST", "/mcp/rpc", []string{"Origin", "https://evil.example"}, 403},
		{"the origin null", "POST", "/mcp/rpc", []string{"Origin", "null"}, 403},
		{"an origin that ends alike", "POST", "/mcp/rpc", []string{"Origin", "https://evil-app.example"}, 403},
		{"an origin that begins alike", "POST", "/mcp/rpc", []string{"Origin", "https://app.example.evil.example"}, 403},
		{"another host", "POST", "/mcp/rpc", []string{"Host", "evil.example"}, 403},
		{"a host that begins alike", "POST", "/mcp/rpc", []string{"Host", "localhost.evil.example"}, 403},
		{"a preflight from elsewhere", "OPTIONS", "/mcp", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "POST"}, 403},
		{"two slashes", "POST", "//mcp/rpc", nil, 400},
		{"a slash at the end, which means nothing", "POST", "/mcp/", nil, 400}, // no session, like /mcp
		{"another case", "POST", "/MCP", nil, 404},
		{"a key in the query", "POST", "/mcp/rpc?api_key=dev-api-key", []string{"X-API-Key", ""}, 401},
		{"a token in the query", "POST", "/mcp/rpc?access_token=x", []string{"X-API-Key", ""}, 401},
		{"two credentials", "POST", "/mcp/rpc", []string{"Authorization", "Bearer x"}, 401},
		{"events without a credential", "GET", "/events", []string{"X-API-Key", ""}, 401},
		{"old events without a credential", "GET", "/mcp/events", []string{"X-API-Key", ""}, 401},
		{"the old stream without a credential", "GET", "/mcp/sse", []string{"X-API-Key", ""}, 401},
		{"a stream of the modern era", "GET", "/mcp", []string{"MCP-Protocol-Version", "2026-07-28"}, 405},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp := send(t, tc.method, "http://"+host+tc.path, tc.headers)
			if resp.StatusCode != tc.status {
				t.Errorf("got %d, want %d", resp.StatusCode, tc.status)
			}
			if tc.status == http.StatusForbidden && resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("a refused origin is told that it is allowed")
			}
		})
	}
}

// send sends the one body with the development key and no redirects.
func send(t *testing.T, method, url string, headers []string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(listTools))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-API-Key", "dev-api-key")
	for i := 0; i < len(headers); i += 2 {
		switch k, v := headers[i], headers[i+1]; {
		case k == "Host":
			r.Host = v
		case v == "":
			r.Header.Del(k)
		default:
			r.Header.Set(k, v)
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// TestAbuseSlowloris holds that a client that trickles its headers or its body is
// dropped, while the next one is served.
func TestAbuseSlowloris(t *testing.T) {
	g, _ := newGateway(t)
	head := "POST /mcp/rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: dev-api-key\r\nContent-Type: application/json\r\n"
	for name, sent := range map[string]string{"headers": head, "body": head + "Content-Length: 1000\r\n\r\n{"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := fmt.Fprint(c, sent); err != nil {
				t.Fatal(err)
			}
			if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, c); err != nil { // ends when the gateway hangs up
				t.Errorf("the connection was kept: %v", err)
			}
			if resp := send(t, "POST", g.URL+"/mcp/rpc", nil); resp.StatusCode != http.StatusOK {
				t.Errorf("the next client got %d", resp.StatusCode)
			}
		})
	}
}

// TestChangeMadePastTheGateway holds that a subscriber hears of changes that were
// made in Vault itself, to a secret by name and below a path, and that the events
// say how they are known.
func TestChangeMadePastTheGateway(t *testing.T) {
	g, v := newGateway(t)
	write(t, g, "outside/here")
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	streams := map[string]io.Reader{}
	for _, path := range []string{"outside/here", "outside/", ""} {
		resp := openEvents(ctx, t, g.URL+"/events?path=mcp/agent_api/"+path)
		defer func() { _ = resp.Body.Close() }()
		streams[path] = resp.Body
	}
	go func() { // until it is heard: the first look only notes what is there
		for i := 0; ctx.Err() == nil; i++ {
			_, _ = v.Send(ctx, http.MethodPost, "secret/data/mcp/agent_api/outside/here", fmt.Sprintf(`{"data":{"n":%d}}`, i))
			_, _ = v.Send(ctx, http.MethodPost, fmt.Sprintf("secret/data/mcp/agent_api/outside/new%d", i), `{"data":{}}`)
			_, _ = v.Send(ctx, http.MethodDelete, "secret/data/mcp/agent_api/outside/here", "")
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	for path, body := range streams {
		buf := make([]byte, 4096)
		var got string
		for !strings.Contains(got, `"source":"poll"`) || (path != "outside/here" && !strings.Contains(got, "/outside/new")) {
			n, err := body.Read(buf)
			if err != nil {
				t.Fatalf("%s: got %q: %v", path, got, err)
			}
			got += string(buf[:n])
		}
	}
}
