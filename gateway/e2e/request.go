package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// request turns the short forms of an MCP request into the long one.
func (r *run) request(st step) step {
	word, args, _ := strings.Cut(st.rest, " ")
	if args == "" {
		args = "{}"
	}
	switch st.verb {
	case "call":
		args = fmt.Sprintf(`{"name":%q,"arguments":%s}`, word, args)
		word = "tools/call"
	case "rpc":
	default:
		return st
	}
	st.verb, st.rest = http.MethodPost, "/mcp/rpc"
	st.body = fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, word, args)
	st.headers = append([]string{"Accept: application/json, text/event-stream"}, st.headers...)
	return st
}

// send sends a request as it is written: the client cleans no path.
func (r *run) send(st step) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, st.verb, r.gateway.URL, strings.NewReader(r.expand(st.body)))
	if err != nil {
		return err
	}
	path, query, _ := strings.Cut(st.rest, "?")
	req.URL.Opaque, req.URL.RawQuery = path, query
	req.Header.Set("X-API-Key", r.script.Key)
	if st.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range st.headers {
		name, value, _ := strings.Cut(r.expand(h), ":")
		if value = strings.TrimSpace(value); value == "" {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, value)
	}
	start := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	r.body, err = io.ReadAll(resp.Body)
	r.resp, r.took, r.output = resp, time.Since(start), false
	return err
}
