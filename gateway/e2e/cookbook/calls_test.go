package cookbook_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/op"
)

// client calls one gateway.
type client struct {
	*kitchen
	url     string
	ops     *op.Catalogue
	callers map[string]map[string]string
}

// answer is what came of a call, whatever transport it took.
type answer struct {
	code    string // ok when it was done
	reasons []string
	body    map[string]any
}

// rest makes a call over REST.
func (c *client) rest(t *testing.T, st step) (a answer) {
	t.Helper()
	o, args := c.ops.Get(st.op), map[string]any{}
	decode(t, []byte(st.args), &args)
	path := o.Path
	if full, ok := args["path"].(string); ok && strings.HasPrefix(full, "kv://") {
		path, args["path"] = o.FullPath, strings.TrimPrefix(full, "kv://")
	}
	for name, v := range args {
		for _, param := range []string{"*" + name, ":" + name} {
			if before, after, ok := strings.Cut(path, "/"+param); ok {
				path = before + "/" + (&url.URL{Path: v.(string)}).EscapedPath() + after
				delete(args, name)
			}
		}
	}
	var body []byte
	if o.Method == http.MethodGet || o.Method == http.MethodDelete {
		query := url.Values{}
		for name, v := range args {
			query.Set(name, fmt.Sprint(v))
		}
		path += "?" + query.Encode()
	} else {
		body = encode(t, args)
	}
	status, raw := c.send(t, st, o.Method, path, body)
	if status < 300 {
		a.code = "ok"
	}
	if len(raw) > 0 {
		decode(t, raw, &a.body)
	}
	a.fail(a.body)
	if a.code != "ok" && status < 300 {
		t.Errorf("line %d: %d with %s", st.line, status, raw)
	}
	return a
}

// fail reads an error.
func (a *answer) fail(body map[string]any) {
	e, ok := body["error"].(map[string]any)
	if !ok {
		return
	}
	a.code, _ = e["code"].(string)
	details, _ := e["details"].(map[string]any) // over MCP
	if data, ok := e["data"].(map[string]any); ok {
		details = data // over REST
	}
	list, _ := details["reasons"].([]any)
	for _, r := range list {
		m, _ := r.(map[string]any)
		a.reasons = append(a.reasons, fmt.Sprint(m["code"]))
	}
}

// tool makes the same call as an MCP tool.
func (c *client) tool(t *testing.T, st step) (a answer) {
	t.Helper()
	args := map[string]any{}
	decode(t, []byte(st.args), &args)
	meta := map[string]any{}
	for said, name := range map[string]string{"reason": "portcullis/reason", "deliver": "portcullis/deliver", "wrap": "portcullis/wrap_ttl"} {
		if v := st.said[said]; v != "" {
			meta[name] = v
		}
	}
	if name, version, ok := strings.Cut(st.said["client"], "/"); ok {
		meta["io.modelcontextprotocol/clientInfo"] = map[string]any{"name": name, "version": version}
	}
	params := map[string]any{"name": st.op, "arguments": args, "_meta": meta}
	result, fault := c.rpc(t, st, "tools/call", params)
	if strings.HasPrefix(fault, "unknown tool") {
		return answer{code: hidden}
	}
	a.body, _ = result["structuredContent"].(map[string]any)
	a.code = "ok"
	a.fail(a.body)
	if (result["isError"] == true) != (a.code != "ok") {
		t.Errorf("line %d: isError %v with %v", st.line, result["isError"], a.body)
	}
	return a
}

// tools are the names in a caller's tools/list, dotted.
func (c *client) tools(t *testing.T, st step) (names []string) {
	t.Helper()
	result, _ := c.rpc(t, st, "tools/list", map[string]any{})
	list, _ := result["tools"].([]any)
	for _, tool := range list {
		name, _ := tool.(map[string]any)["name"].(string)
		names = append(names, strings.Replace(name, "_", ".", 1))
	}
	return names
}

// hidden is what is answered to a call of a tool that the caller's list does not have.
const hidden = "hidden"

// rpc returns the result of a request, or the message of a JSON-RPC error.
func (c *client) rpc(t *testing.T, st step, method string, params any) (map[string]any, string) {
	t.Helper()
	_, raw := c.send(t, st, http.MethodPost, "/mcp/rpc", encode(t, map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
	var reply struct {
		Result map[string]any           `json:"result"`
		Error  struct{ Message string } `json:"error"`
	}
	decode(t, raw, &reply)
	if reply.Result == nil && !strings.HasPrefix(reply.Error.Message, "unknown tool") {
		t.Fatalf("line %d: %s answers %s", st.line, method, raw)
	}
	return reply.Result, reply.Error.Message
}

func (c *client) send(t *testing.T, st step, method, path string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for said, name := range map[string]string{
		"reason": "X-Portcullis-Reason", "deliver": "X-Portcullis-Deliver", "wrap": "X-Vault-Wrap-TTL", "from": "X-Forwarded-For", "client": "User-Agent",
	} {
		if v := st.said[said]; v != "" {
			req.Header.Set(name, v)
		}
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.as(t, st, req).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, raw
}

// as gives a request the credential of a step's caller.
func (c *client) as(t *testing.T, st step, req *http.Request) *http.Client {
	t.Helper()
	who, ok := c.callers[st.who]
	if !ok {
		t.Fatalf("line %d: there is no caller %s", st.line, st.who)
	}
	if other := who["for"]; other != "" {
		req.Header.Set("X-On-Behalf-Of", "Bearer "+token(t, c.callers[other]))
	}
	conf := &tls.Config{RootCAs: c.ca.Pool(), MinVersion: tls.VersionTLS13}
	switch {
	case who["key"] != "":
		req.Header.Set("X-API-Key", who["key"])
	case who["cert"] != "":
		conf.Certificates = []tls.Certificate{c.cert(who["cert"]).TLS()}
	default:
		req.Header.Set("Authorization", "Bearer "+token(t, who))
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}, Timeout: time.Minute}
}

// token makes a JWT (RFC 7519) of a caller's words. Times are said as ago, for example
// age=2h; act=a,b is a chain of actors, of which each acts for the one before.
func token(t *testing.T, words map[string]string) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": "mcp-auth", "aud": "mcp-agents", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "scopes": []string{"read", "list", "write", "delete"},
	}
	for name, v := range words {
		switch name {
		case "for": // another credential
		case "age":
			claims["iat"] = now.Add(-ago(t, v)).Unix()
		case "auth_time":
			claims[name] = now.Add(-ago(t, v)).Unix()
		case "roles", "scopes", "amr", "groups":
			claims[name] = strings.Split(v, ",")
		case "act":
			claims[name] = chain(strings.Split(v, ","))
		default:
			claims[name] = v
			if b, err := strconv.ParseBool(v); err == nil {
				claims[name] = b
			}
		}
	}
	part := func(v any) string { return base64.RawURLEncoding.EncodeToString(encode(t, v)) }
	signed := part(map[string]string{"alg": "HS256", "typ": "JWT"}) + "." + part(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func ago(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// chain is an act claim (RFC 8693 section 4.1): who sends the call is outermost.
func chain(actors []string) map[string]any {
	name, kind, _ := strings.Cut(actors[len(actors)-1], ":")
	act := map[string]any{"sub": name}
	if kind != "" {
		act["kind"] = kind
	}
	if len(actors) > 1 {
		act["act"] = chain(slices.Clone(actors[:len(actors)-1]))
	}
	return act
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func decode(t *testing.T, raw []byte, v any) {
	t.Helper()
	if len(raw) == 0 {
		return
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
}
