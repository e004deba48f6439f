package vaultapi_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"portcullis/gateway/config"
	"portcullis/gateway/e2e"
	"portcullis/gateway/server"
	"portcullis/gateway/vault/vaulttest"
)

const (
	agentKey = "key-of-agent"
	otherKey = "key-of-other"
)

// policyData grants what the tests use beside the callers' own secrets.
const policyData = `
version: 2
grants:
  subjects:
    agent:
      kv: {"team-kv:shared": {}}
      transit: {mcp: {}, signing: {}}
      db: {readonly: {}}
      ssh: {otp: {}, ca: {}}
      pki: {web: {}}
      totp: {login: {}}
      creds: {readonly: {}}
`

// world is a gateway in front of a real Vault, with a database.
type world struct {
	vault *vaulttest.Vault
	url   string
	dir   string
	http  *http.Client // nil for the default one
}

// newWorld starts both. Further settings are of the gateway.
func newWorld(t *testing.T, settings map[string]string) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	dsn := e2e.StartPostgres(t).DSN()
	w.vault = vaulttest.Start(t, "--postgres", dsn)
	for _, step := range []struct {
		path string
		body map[string]any
	}{
		{"sys/mounts/brokers", map[string]any{"type": "database"}},
		{"brokers/config/postgres", map[string]any{"plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "connection_url": dsn}},
		{"brokers/roles/readonly", map[string]any{
			"db_name": "postgres", "default_ttl": "1h", "max_ttl": "2h",
			"creation_statements": []string{`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`},
		}},
	} {
		if status := w.vault.Do(vaulttest.Request{Method: "PUT", Path: step.path, Body: step.body}, nil); status >= 300 {
			t.Fatalf("%s: got %d", step.path, status)
		}
	}
	w.vault.Do(vaulttest.Request{Method: "PUT", Path: "sys/mounts/team-kv", Body: map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}}, nil)
	w.vault.Do(vaulttest.Request{Method: "PUT", Path: "sys/mounts/legacy", Body: map[string]any{"type": "kv", "options": map[string]string{"version": "1"}}}, nil)
	w.begin(t, map[string]string{"KV_MOUNTS": "secret,team-kv,legacy", "CREDS_MOUNTS": "brokers"}, settings)
	return w
}

// smallWorld is a gateway in front of a Vault without a database, with its first KV mount.
func smallWorld(t *testing.T, settings map[string]string) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), vault: vaulttest.Start(t)}
	w.begin(t, settings)
	return w
}

// begin starts the gateway with settings beside those of all tests.
func (w *world) begin(t *testing.T, settings ...map[string]string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, "data.yaml"), []byte(policyData), 0o600); err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"HOST": "127.0.0.1", "PORT": "0", "SHUTDOWN_DELAY": "0s", "LOG_DIR": filepath.Join(w.dir, "logs"), "POLICY_DIR": w.dir, "POLICY_TIMEOUT": "5s",
		"API_KEYS_JSON": fmt.Sprintf(`{%q:"agent",%q:"other"}`, agentKey, otherKey),
		"VAULT_ADDR":    w.vault.Addr, "VAULT_TOKEN": w.vault.Token, "VAULT_TIMEOUT": "30s", "RATE_LIMIT_ENABLED": "false",
	} {
		t.Setenv(k, v)
	}
	for _, more := range settings {
		for k, v := range more {
			t.Setenv(k, v)
		}
	}
	w.serve(t)
}

func (w *world) serve(t *testing.T) {
	t.Helper()
	c, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	ready, said := io.Pipe()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	g, err := server.New(ctx, c, server.Options{Stdout: said, Stderr: os.Stderr, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx); _ = said.Close() }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	var line struct {
		Addr string `json:"addr"`
	}
	if err := json.NewDecoder(ready).Decode(&line); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, ready) }()
	w.url = line.Addr
}

// client is Vault's own client with a token.
func (w *world) client(t *testing.T, token string) *api.Client {
	t.Helper()
	c := api.DefaultConfig()
	c.Address, c.MaxRetries, c.Timeout = w.url, 0, time.Minute
	cl, err := api.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	cl.SetToken(token)
	return cl
}

// answer is an answer with its body decoded.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

// send sends a request as it is; headers are "Name: value".
func (w *world) send(t *testing.T, method, path, token, body string, headers ...string) answer {
	t.Helper()
	return must[answer](t)(w.try(t, method, path, token, body, headers...))
}

// try is send where there may be no answer.
func (w *world) try(t *testing.T, method, path, token, body string, headers ...string) (answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	at, query, _ := strings.Cut(path, "?")
	req.URL.Opaque, req.URL.RawQuery = "/v1/"+at, query
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := cmp.Or(w.http, http.DefaultClient).Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header}
	if len(bytes.TrimSpace(raw)) > 0 && json.Unmarshal(raw, &a.body) != nil {
		a.body = map[string]any{"text": string(raw)}
	}
	return a, nil
}

// records are the gateway's records of decisions and refusals so far.
func (w *world) records(t *testing.T) []map[string]any {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(w.dir, "logs", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for line := range bytes.Lines(raw) {
		var rec map[string]any
		if json.Unmarshal(line, &rec) == nil {
			out = append(out, rec)
		}
	}
	return out
}
