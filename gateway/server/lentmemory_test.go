package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/vault/vaulttest"
)

// TestSecretsAreNotMixedUp: answers stand in memory that is used again, over every transport.
// Whoever reads gets the secret that was asked for, all of it and nothing else.
func TestSecretsAreNotMixedUp(t *testing.T) {
	v := vaulttest.Start(t)
	const secrets, rounds = 3, 8
	value := func(i int) string { return strings.Repeat(fmt.Sprintf("obviously-fake-%d ", i), 6000+3000*i) }
	for i := range secrets {
		v.Write(fmt.Sprintf("secret/data/mcp/agent_api/large%d", i), map[string]any{"data": map[string]string{"value": value(i)}})
	}
	url := serve(t, inProcessConfig(t, v))
	transports := map[string]func(i int) (method, path, body string, into func(raw []byte) string){
		"REST": func(i int) (string, string, string, func([]byte) string) {
			return http.MethodGet, fmt.Sprintf("/secrets/large%d", i), "", valueIn("data", "value")
		},
		"MCP": func(i int) (string, string, string, func([]byte) string) {
			call := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv_read","arguments":{"path":"large%d"}}}`, i)
			return http.MethodPost, "/mcp/rpc", call, valueIn("result", "structuredContent", "data", "value")
		},
		"Vault API": func(i int) (string, string, string, func([]byte) string) {
			return http.MethodGet, fmt.Sprintf("/v1/secret/data/mcp/agent_api/large%d", i), "", valueIn("data", "data", "value")
		},
	}
	var wg sync.WaitGroup
	for name, transport := range transports {
		for i := range secrets {
			wg.Go(func() {
				method, path, body, in := transport(i)
				for range rounds {
					raw := request(t, method, url+path, body)
					if got := in(raw); got != value(i) {
						t.Errorf("%s: secret %d: got %d bytes %.40q, want %d bytes", name, i, len(got), got, len(value(i)))
						return
					}
				}
			})
		}
	}
	wg.Wait()
}

// valueIn finds a text by the names of the objects that it is in.
func valueIn(names ...string) func([]byte) string {
	return func(raw []byte) string {
		for _, name := range names {
			var all map[string]json.RawMessage
			if err := json.Unmarshal(raw, &all); err != nil {
				return err.Error()
			}
			raw = all[name]
		}
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err.Error()
		}
		return s
	}
}

func request(t *testing.T, method, url, body string) []byte {
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return nil
	}
	req.Header = http.Header{"X-Api-Key": {"dev-api-key"}, "Content-Type": {"application/json"}, "Accept": {"application/json"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return raw
}

// TestALargeReadLeavesLittle: what is allocated for a read does not grow with the secret.
func TestALargeReadLeavesLittle(t *testing.T) {
	const size, most = 900 << 10, 300 << 10 // the collector may take a buffer meanwhile, which is then a new one
	v := vaulttest.Start(t)
	v.Write("secret/data/mcp/agent_api/large", map[string]any{"data": map[string]string{"value": strings.Repeat("x", size)}})
	url := serve(t, inProcessConfig(t, v))
	host := strings.TrimPrefix(url, "http://")
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	request, buf := []byte("GET /secrets/large HTTP/1.1\r\nHost: "+host+"\r\nX-API-Key: dev-api-key\r\n\r\n"), make([]byte, 2*size)
	least := uint64(1 << 30)
	for range 12 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		exchange(t, conn, request, buf, http.StatusOK)
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	t.Logf("%d bytes", least)
	if least > most {
		t.Errorf("%d bytes are allocated for a secret of %d, want at most %d", least, size, most)
	}
}
