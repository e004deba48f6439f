package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"portcullis/gateway/e2e/stack"
)

// target is somebody to send the calls of a scenario to.
type target struct {
	name     string
	addr     string
	tls      *tls.Config    // nil for none
	front    *stack.Process // between the driver and Vault; nil for none, or for one that is not ours
	requests []request
	order    []int

	session                 int // calls in an MCP session, 0 for no sessions
	initialize, initialized request
	stream                  request

	result *outcome
}

// place is where a target is, and how to prove who calls.
type place struct {
	name       string
	url        string
	credential string // a header
	prefix     string // of the caller's secrets, as Vault has them
	insecure   bool
	front      *stack.Process
}

// newTarget prepares the requests of a scenario over one of its transports, or to Vault
// itself ("vault").
func newTarget(s *scenario, p place, over string) (*target, error) {
	base, err := url.Parse(p.url)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a gateway", p.url)
	}
	t := &target{name: p.name, addr: base.Host, front: p.front, order: s.order(), result: &outcome{Target: p.name, times: newHistogram()}}
	if base.Scheme == "https" {
		t.tls = &tls.Config{ServerName: base.Hostname(), InsecureSkipVerify: p.insecure, NextProtos: []string{"http/1.1"}}
	}
	if base.Port() == "" {
		t.addr += map[string]string{"http": ":80", "https": ":443"}[base.Scheme]
	}
	to := func(path string) (*url.URL, error) { return base.Parse(strings.ReplaceAll(path, "PREFIX", p.prefix)) }
	for i, o := range s.Operations {
		q, err := o.request(i, over, p.credential, to)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.Name, err)
		}
		t.requests = append(t.requests, q)
	}
	events, err := to("/events")
	if err != nil {
		return nil, err
	}
	t.stream = newRequest("events", message{http.MethodGet, events, p.credential, ""})
	if over != "session" {
		return t, nil
	}
	t.session = s.Session
	mcp, err := to("/mcp")
	t.initialize = newRequest("initialize", message{
		http.MethodPost, mcp, p.credential,
		`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`,
	})
	t.initialized = newRequest("initialized", message{http.MethodPost, mcp, p.credential, `{"jsonrpc":"2.0","method":"notifications/initialized"}`})
	t.initialized.expect = http.StatusAccepted
	return t, err
}

// request is the operation over a transport.
func (o *operation) request(id int, over, credential string, to func(string) (*url.URL, error)) (q request, err error) {
	f, path := o.REST, o.REST.Path
	switch over {
	case "vault":
		f, path = o.Vault, "/v1/"+o.Vault.Path
	case "mcp":
		f, path = o.call(id), "/mcp/rpc"
	case "session":
		f, path = o.call(id), "/mcp"
	}
	body := []byte(nil)
	if f.Body != nil {
		if body, err = json.Marshal(f.Body); err != nil {
			return q, err
		}
	}
	u, err := to(path)
	if err != nil {
		return q, err
	}
	q = newRequest(o.Name, message{f.Method, u, credential, string(body)})
	q.contains = []byte(o.Contains)
	if over == "rest" || over == "vault" {
		q.expect = o.Expect
	}
	return q, nil
}

// call is the operation as a tools/call of MCP.
func (o *operation) call(id int) form {
	return form{Method: http.MethodPost, Body: map[string]any{
		"jsonrpc": "2.0", "id": id + 1, "method": "tools/call", "params": map[string]any{"name": o.Tool, "arguments": o.Arguments},
	}}
}
