package e2e_test

import (
	"context"
	"encoding/base64"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// The canaries are put everywhere a caller can put a secret.
const (
	canary       = "canary-b7f1c9e2d4"
	canaryBase64 = "Y2FuYXJ5LWI3ZjFjOWUyZDQ=" // of the canary
	canaryKey    = "canary-key-5d0e8a71f3b2c6"
	canarySigner = "canary-signer-0c44de19b7-canary-signer-0c44de19b7" // signs tokens
)

// TestS11_CanaryStaysOutOfEverySink calls everything that can hold a secret, well
// and badly, and then looks into every file, stream and page that the gateway
// writes. Only the answers that deliver a secret may hold one.
func TestS11_CanaryStaysOutOfEverySink(t *testing.T) {
	v := e2e.StartVault(t)
	r := receive(t)
	shared, err := stack.StartRedis(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shared.Close() })
	others := overhear(t, shared)
	asVault(t, v, v.Token, "POST", "transit/keys/evidence", `{"type":"ed25519"}`, "", nil)
	g := e2e.StartGateway(t, v, append(r.env, "AUDIT_SIGN_TRANSIT_KEY=transit/evidence", "LOG_LEVEL=debug", "DECISION_LOG=logs/decisions.jsonl", "REDIS_URL="+shared.URL(),
		"RATE_LIMIT_REQUESTS=6000", "RATE_LIMIT_WINDOW_SECONDS=3600", "VAULT_TOKEN="+v.Token,
		"ADMIN_ADDR=127.0.0.1:0", "PKI_MOUNTS=pki", "TOTP_MOUNTS=totp", "JWT_HS256_SECRET="+canarySigner, "WASM_MANIFEST="+talkative(t))...)
	ears := openEars(t, g)
	deliver := func(method, path, body string) {
		if resp, raw := e2e.Do(t, method, g.URL+path, body); resp.StatusCode >= 300 {
			t.Errorf("%s %s: got %d %s", method, path, resp.StatusCode, raw)
		}
	}
	refuse := func(method, path, body string) {
		resp, raw := e2e.Do(t, method, g.URL+path, body)
		if resp.StatusCode < 400 || strings.Contains(string(raw), "canary") {
			t.Errorf("%s %s: got %d %s, want an error without the canary", method, path, resp.StatusCode, raw)
		}
	}
	tool := func(name, args string) string {
		_, raw := e2e.Do(t, "POST", g.URL+"/mcp/rpc", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`","arguments":`+args+`}}`)
		return string(raw)
	}

	deliver("PUT", "/secrets/c", `{"data":{"password":"`+canary+`","nested":{"k":["`+canary+`"]}}}`)
	deliver("GET", "/secrets/c", "")
	deliver("PATCH", "/secrets/c", `{"data":{"other":"`+canary+`"}}`)
	deliver("GET", "/secrets/c:subkeys", "")
	deliver("POST", "/transit/encrypt", `{"key":"mcp","plaintext":"`+canaryBase64+`"}`)
	deliver("POST", "/transit/sign", `{"key":"signing","input":"`+canaryBase64+`"}`)
	if !strings.Contains(tool("kv.read", `{"path":"c"}`), canary) {
		t.Error("the tool does not deliver what was written")
	}
	for _, bad := range []string{
		tool("kv.write", `{"path":"c","data":"`+canary+`"}`), tool("kv.write", `{"path":"c","`+canary+`":1}`),
		tool("kv.write", `{"path":"c","data":{"a":"`+canary+`"},"cas":99}`), tool(canary, `{}`),
		tool("transit.decrypt", `{"key":"mcp","ciphertext":"vault:v1:`+canaryBase64+`"}`),
	} {
		if strings.Contains(bad, "canary") {
			t.Errorf("a tool's error holds the canary: %s", bad)
		}
	}
	refuse("PUT", "/secrets/c", `{"data":{"a":"`+canary+`"},"cas":99}`)
	refuse("PUT", "/secrets/c", `{"data":{"a":"`+canary+`","a":1}}`)
	refuse("PUT", "/secrets/c", `{"data":{"a":"`+canary)
	refuse("PUT", "/secrets/c", `{"`+canary+`":1}`)
	refuse("GET", "/secrets/c?"+canary+"=1", "")
	refuse("POST", "/transit/encrypt", `{"key":"mcp","plaintext":"`+canary+` not base64"}`)
	refuse("POST", "/transit/encrypt", `{"key":"none","plaintext":"`+canaryBase64+`"}`)
	refuse("POST", "/transit/decrypt", `{"key":"mcp","ciphertext":"`+canary+`"}`)
	refuse("POST", "/ssh/sign", `{"role":"ca","public_key":"`+canary+`"}`)
	refuse("POST", "/db/revoke", `{"lease_id":"`+canary+`"}`)
	if _, events := e2e.Do(t, "GET", g.URL+"/mcp/events", ""); strings.Contains(string(events), "canary") || !strings.Contains(string(events), "resource.changed") {
		t.Errorf("the events hold the canary or nothing: %s", events)
	}
	token := speakVault(t, g, deliver, refuse)
	presentBadly(t, g)
	speakOnStdio(t, g, v)
	readTraces(t, g)
	deliver("PUT", "/secrets/"+lastChange, `{"data":{"password":"`+canary+`"}}`)
	for _, e := range ears {
		<-e.told
	}
	learned := readBack(t, g.URL)
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
	others.lookIntoCommands(t, token, learned, v.Token, e2e.Key, canaryKey)
	others.lookIntoRedis(t, token, learned, v.Token, e2e.Key, canaryKey)
	lookIntoStreams(t, ears)
	lookIntoReceivers(t, r, g)
	deriveFrom(t, g)
	heardGuest(t, g)
	lookInto(t, g.LogDir, v.Token, 5)
	if _, err := os.Stat(filepath.Join(g.LogDir, "audit.key")); !os.IsNotExist(err) || !strings.Contains(readFile(t, v.AuditFile), "transit/sign/evidence") {
		t.Errorf("the checkpoints are not signed in Vault: %v", err)
	}
	lookForSession(t, g, token)
	for _, name := range []string{"requests.log", "responses.log", "server.log"} {
		raw, err := os.ReadFile(filepath.Join(g.LogDir, name))
		if i := strings.Index(string(raw), learned); err != nil || i >= 0 {
			t.Errorf("%s holds a value that had just been read: %v", name, err)
		}
	}
	for line := range strings.Lines(g.Output()) {
		evidence := strings.HasPrefix(line, `{"seq":`) // of the sink stdout; it names paths as they are
		if holdsCanary(line) || !evidence && strings.Contains(line, learned) {
			t.Errorf("stdout or stderr holds a secret: %s", line)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// readBack reads a secret and then uses its value, and the base64 of it, where logs
// show what a caller sends: as the path of another secret.
func readBack(t *testing.T, url string) string {
	t.Helper()
	const value = "value-just-read-8c2f"
	e2e.Do(t, "PUT", url+"/secrets/d", `{"data":{"v":["`+value+`"]}}`)
	if _, raw := e2e.Do(t, "GET", url+"/secrets/d", ""); !strings.Contains(string(raw), value) {
		t.Errorf("got %s", raw)
	}
	for _, path := range []string{value, "a-" + value + "-b", base64.RawURLEncoding.EncodeToString([]byte(value))} {
		if resp, raw := e2e.Do(t, "GET", url+"/secrets/"+path, ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("got %d %s", resp.StatusCode, raw)
		}
	}
	return value
}

// presentBadly presents credentials that are refused, and looks at the metrics page.
func presentBadly(t *testing.T, g *stack.Gateway) {
	t.Helper()
	for _, h := range [][2]string{
		{"X-API-Key", canaryKey},
		{"Authorization", "Bearer " + canaryKey},
		{"Authorization", "Bearer eyJhbGciOiJub25lIn0." + canaryKey + "."},
		{"Authorization", "Basic " + canaryKey},
		{"Authorization", "DPoP " + canaryKey},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", g.URL+"/whoami", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(h[0], h[1])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 401 {
			t.Errorf("%s: got %d, want 401", h[0], resp.StatusCode)
		}
		_ = resp.Body.Close()
	}
	e2e.Eventually(t, "the first checkpoint", func() bool {
		status, _ := ask(t, g, "GET", "/checkpoint", "", "admin:evidence")
		return status == http.StatusOK
	})
	for path, scope := range map[string]string{
		"/policy": "admin:policy", "/leases": "admin:leases", "/log-level": "admin:log", "/checkpoint": "admin:evidence", "/sinks": "admin:evidence",
		"/debug/pprof/goroutine?debug=2": "admin:pprof", "/debug/pprof/heap?debug=1": "admin:pprof", "/": "admin:policy",
	} {
		if status, body := ask(t, g, "GET", path, "", scope); holdsCanary(body) || status != http.StatusOK {
			t.Errorf("GET %s: got %d, or the canary in %s", path, status, body)
		}
	}
	if _, page := ask(t, g, "GET", "/metrics", "", "admin:metrics"); holdsCanary(page) || !strings.Contains(page, "portcullis_calls_total") {
		t.Errorf("the metrics page holds the canary or nothing:\n%s", page)
	}
}

// lookInto reads every file of a directory, of which there are some.
func lookInto(t *testing.T, dir, vaultToken string, least int) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, secret := range append(canaryForms(), e2e.Key+`"`, "Token\":\""+vaultToken) {
			if strings.Contains(string(raw), secret) {
				t.Errorf("%s holds %s", filepath.Base(path), secret)
			}
		}
		return nil
	})
	if err != nil || files < least {
		t.Errorf("looked into %d files, want at least %d: %v", files, least, err)
	}
}
