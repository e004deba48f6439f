package conformance_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// withKey adds the API key to every request.
type withKey struct{ key string }

// RoundTrip implements http.RoundTripper.
func (k withKey) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-API-Key", k.key)
	return http.DefaultTransport.RoundTrip(r)
}

func TestGoSDK(t *testing.T) {
	g, _ := newGateway(t)
	for _, revision := range []string{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"} {
		t.Run(revision, func(t *testing.T) {
			updates := make(chan string, 16)
			client := mcp.NewClient(&mcp.Implementation{Name: "go-test", Version: "1"}, &mcp.ClientOptions{
				ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) { updates <- r.Params.URI },
			})
			s, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
				Endpoint: g.URL + "/mcp", HTTPClient: &http.Client{Transport: withKey{"dev-api-key"}},
			}, &mcp.ClientSessionOptions{ProtocolVersion: revision})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if got := s.InitializeResult().ProtocolVersion; got != revision {
				t.Errorf("negotiated %s", got)
			}
			exercise(t, s, "go-"+revision, updates)
		})
	}
}

// exercise lists, subscribes, writes, reads, and waits for the update.
func exercise(t *testing.T, s *mcp.ClientSession, path string, updates <-chan string) {
	t.Helper()
	ctx, uri := t.Context(), "kv://secret/mcp/agent_api/"+path
	if tools, err := s.ListTools(ctx, nil); err != nil || len(tools.Tools) < 10 {
		t.Fatalf("got %v %v", tools, err)
	}
	if err := s.Subscribe(ctx, &mcp.SubscribeParams{URI: uri}); err != nil {
		t.Fatal(err)
	}
	write := &mcp.CallToolParams{Name: "kv.write", Arguments: map[string]any{"path": path, "data": map[string]string{"k": "v"}}}
	deadline := time.After(20 * time.Second)
	for {
		// The SDK does not say when its subscription is in force: write until it is heard.
		if res, err := s.CallTool(ctx, write); err != nil || res.IsError {
			t.Fatalf("got %v %v", res, err)
		}
		select {
		case got := <-updates:
			if got != uri {
				t.Errorf("the update is about %s", got)
			}
			if res, err := s.ReadResource(ctx, &mcp.ReadResourceParams{URI: uri}); err != nil || len(res.Contents) != 1 {
				t.Errorf("got %v %v", res, err)
			}
			return
		case <-time.After(100 * time.Millisecond):
		case <-deadline:
			t.Fatal("no update came")
		}
	}
}
