package server_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/audit/tree"
	"portcullis/gateway/config"
	"portcullis/gateway/e2e"
	"portcullis/gateway/vault/vaulttest"
)

// TestTheLastCheckpointIsAnchored: while Vault takes no anchor /readyz says so, and the
// checkpoint that it holds after the gateway has stopped covers the last call, which was
// made a moment before.
func TestTheLastCheckpointIsAnchored(t *testing.T) {
	v := vaulttest.Start(t)
	dir := t.TempDir()
	t.Run("gateway", func(t *testing.T) {
		url := serve(t, configured(t, v, dir, map[string]string{"AUDIT_ANCHORS": "vault:witness/anchor", "AUDIT_ANCHOR_INTERVAL": "1s"}))
		says := func(want string) func() bool {
			return func() bool {
				answer(t, "GET", url+"/secrets/none")
				return strings.Contains(answer(t, "GET", url+"/readyz"), want)
			}
		}
		e2e.Eventually(t, "an anchor that fails in /readyz", says("vault: degraded: takes no checkpoint since "))
		v.Write("sys/mounts/witness", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
		e2e.Eventually(t, "an anchor that works in /readyz", says("vault: ready"))
		answer(t, "GET", url+"/secrets/last")
	})
	var kept struct {
		Data struct{ Data struct{ Checkpoint string } }
	}
	v.Do(vaulttest.Request{Path: "witness/data/anchor"}, &kept)
	checkpoint, err := tree.ParseCheckpoint([]byte(kept.Data.Data.Checkpoint))
	if err != nil {
		t.Fatalf("%v: %s", err, kept.Data.Data.Checkpoint)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for i, line := range strings.Split(string(raw), "\n") {
		if strings.Contains(line, `"type":"outcome"`) && strings.Contains(line, "/last") {
			last = i + 1
		}
	}
	if last == 0 || checkpoint.Seq < uint64(last) {
		t.Errorf("Vault has a checkpoint of %d lines, and the last call is in line %d", checkpoint.Seq, last)
	}
}

func configured(t *testing.T, v *vaulttest.Vault, dir string, more map[string]string) config.Config {
	t.Helper()
	env := map[string]string{
		"VAULT_ADDR": v.Addr, "VAULT_TOKEN": v.Token, "LOG_DIR": dir, "PORT": "0", "SHUTDOWN_DELAY": "0s",
		"API_KEYS_JSON": `{"dev-api-key":"agent_api"}`, "POLICY_DIR": filepath.Join("..", "..", "fixtures", "policy-dev"), "POLICY_TIMEOUT": "10s",
		"RATE_LIMIT_REQUESTS": "1000000",
	}
	maps.Copy(env, more)
	for key, value := range env {
		t.Setenv(key, value)
	}
	c, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(t *testing.T, method, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", "dev-api-key")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
