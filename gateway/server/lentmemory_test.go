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

// read is a way to read a secret: what is asked for, and where the value is in the answer.
type read struct {
	method, path, body string
	value              func(raw []byte) (value []byte, err error)
}

// reads are the ways to read one of the secrets large0, large1 and so on.
func reads(i, secrets int) map[string]read {
	rpc := func(method, params string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params)
	}
	name := fmt.Sprintf("large%d", i)
	return map[string]read{
		"REST":      {http.MethodGet, "/secrets/" + name, "", in("data", "value")},
		"Vault API": {http.MethodGet, "/v1/secret/data/mcp/agent_api/" + name, "", in("data", "data", "value")},
		"many": {
			http.MethodPost, "/secrets", fmt.Sprintf(`{"paths":["large%d","%[2]s","%[2]s"]}`, (i+1)%secrets, name),
			in("results", 2, "secret", "data", "value"),
		},
		"MCP, tool": {
			http.MethodPost, "/mcp/rpc", rpc("tools/call", `{"name":"kv_read","arguments":{"path":"`+name+`"}}`),
			in("result", "structuredContent", "data", "value"),
		},
		"MCP, text": {
			http.MethodPost, "/mcp/rpc", rpc("tools/call", `{"name":"kv_read","arguments":{"path":"`+name+`"}}`),
			in("result", "content", 0, "text", text{}, "data", "value"),
		},
		"MCP, resource": {
			http.MethodPost, "/mcp/rpc", rpc("resources/read", `{"uri":"kv://secret/mcp/agent_api/`+name+`"}`),
			in("result", "contents", 0, "text", text{}, "data", "value"),
		},
	}
}

// TestSecretsAreNotMixedUp: answers stand in memory that is used again, over every transport.
// Whoever reads gets the secret that was asked for, all of it and nothing else.
func TestSecretsAreNotMixedUp(t *testing.T) {
	v := vaulttest.Start(t)
	const secrets, rounds = 3, 3
	value := func(i int) string { return strings.Repeat(fmt.Sprintf("obviously-fake-%d ", i), 2500+1500*i) }
	for i := range secrets {
		v.Write(fmt.Sprintf("secret/data/mcp/agent_api/large%d", i), map[string]any{"data": map[string]string{"value": value(i)}})
	}
	url := serve(t, inProcessConfig(t, v))
	second := &http.Transport{Protocols: new(http.Protocols)}
	second.Protocols.SetUnencryptedHTTP2(true)
	defer second.CloseIdleConnections()
	var wg sync.WaitGroup
	atOnce := make(chan struct{}, 8) // large answers of one caller wait for each other, and not without end
	for version, client := range map[string]*http.Client{"HTTP/1.1": http.DefaultClient, "HTTP/2": {Transport: second}} {
		for i := range secrets {
			for name, r := range reads(i, secrets) {
				wg.Go(func() {
					for range rounds {
						atOnce <- struct{}{}
						got, err := r.do(t, client, url)
						<-atOnce
						if err != nil || got != value(i) {
							t.Errorf("%s over %s: secret %d: got %d bytes %.40q, %v, want %d bytes", name, version, i, len(got), got, err, len(value(i)))
							return
						}
					}
				})
			}
		}
	}
	wg.Wait()
}

// text says that what comes next is in a text.
type text struct{}

// in finds a text by what it is in: names in objects, numbers in lists, and texts.
func in(steps ...any) func([]byte) ([]byte, error) {
	return func(raw []byte) ([]byte, error) {
		for _, step := range append(steps, text{}) {
			var err error
			switch step := step.(type) {
			case string:
				var all map[string]json.RawMessage
				err = json.Unmarshal(raw, &all)
				raw = all[step]
			case int:
				all := make([]json.RawMessage, step+1)
				err = json.Unmarshal(raw, &all)
				raw = append(all, nil)[min(step, len(all))]
			case text:
				var s string
				err = json.Unmarshal(raw, &s)
				raw = []byte(s)
			}
			if err != nil {
				return raw, err
			}
		}
		return raw, nil
	}
}

func (r read) do(t *testing.T, c *http.Client, url string) (value string, err error) {
	req, err := http.NewRequestWithContext(t.Context(), r.method, url+r.path, strings.NewReader(r.body))
	if err != nil {
		return "", err
	}
	req.Header = http.Header{"X-Api-Key": {"dev-api-key"}, "Content-Type": {"application/json"}, "Accept": {"application/json"}}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return string(raw), err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %.200s", resp.Status, raw)
	}
	raw, err = r.value(raw)
	return string(raw), err
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
