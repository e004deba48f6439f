package attack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// request is one HTTP request.
type request struct {
	key, method, path, body string
	header                  map[string]string
}

// send makes a request and reads the answer to its end, or to a megabyte of it.
func (t *Target) send(ctx context.Context, r request) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, t.URL+r.path, strings.NewReader(r.body))
	if err != nil {
		return 0, nil, err
	}
	if r.key != "" {
		req.Header.Set("X-API-Key", r.key)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	var raw bytes.Buffer
	_, err = io.Copy(&raw, io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, raw.Bytes(), errors.Join(err, resp.Body.Close())
}

// honestCall is the i-th call of the honest caller: reads, writes, signatures, and
// tools over MCP in turn.
func (t *Target) honestCall(ctx context.Context, i int) error {
	r, want := request{key: honestKey, method: http.MethodGet, path: "/secrets/s"}, `"v":"xxx`
	switch i % 5 {
	case 1:
		r.method, r.path, r.body, want = http.MethodPut, fmt.Sprintf("/secrets/w%d", i%50), `{"data":{"n":1}}`, `"version":`
	case 2:
		r.method, r.path, r.body, want = http.MethodPost, "/transit/sign", `{"key":"signing","input":"YWJj"}`, `"signature":"vault:v`
	case 3:
		r.method, r.path = http.MethodPost, "/mcp/rpc"
		r.body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"kv_read","arguments":{"path":"s"}}}`
		want = `"isError":false`
	case 4:
		r.path, want = "/secrets", `"keys":`
	}
	status, body, err := t.send(ctx, r)
	if err != nil {
		return err
	}
	if i%5 == 3 && !bytes.Contains(body, []byte(`"isError":true`)) && bytes.Contains(body, []byte(`xxx`)) {
		return nil // isError may be left out
	}
	if status != http.StatusOK || !strings.Contains(string(body), want) {
		return fmt.Errorf("%s %s: answered %d: %.300s", r.method, r.path, status, body)
	}
	return nil
}
