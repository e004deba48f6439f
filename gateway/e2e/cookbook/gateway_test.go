package cookbook_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/config"
	"portcullis/gateway/server"
	"portcullis/gateway/vault/vaulttest"
)

// secret signs the tokens of the tests.
const secret = "obviously-fake-and-long-enough-for-hs256"

// kitchen is what all recipes share.
type kitchen struct {
	vault *vaulttest.Vault
	ca    *authtest.CA
	certs map[string]*authtest.Leaf
	dir   string // of the gateway's own certificate
}

func newKitchen(t *testing.T, v *vaulttest.Vault) *kitchen {
	t.Helper()
	k := &kitchen{vault: v, ca: authtest.NewCA("cookbook"), certs: map[string]*authtest.Leaf{}, dir: t.TempDir()}
	chain, key := k.ca.Server().PEM()
	write(t, filepath.Join(k.dir, "cert.pem"), chain)
	write(t, filepath.Join(k.dir, "key.pem"), key)
	write(t, filepath.Join(k.dir, "ca.pem"), k.ca.PEM())
	return k
}

// cert is the certificate of a name, made when it is first asked for.
func (k *kitchen) cert(name string) *authtest.Leaf {
	if k.certs[name] == nil {
		k.certs[name] = k.ca.Client(name, nil)
	}
	return k.certs[name]
}

// serve runs a gateway with a policy until the test ends, and returns its address.
func (k *kitchen) serve(t *testing.T, policy string, s *script) string {
	t.Helper()
	logs := t.TempDir()
	for _, e := range append([]string{
		"PORT=0", "SHUTDOWN_DELAY=0s", "LOG_DIR=" + logs, "AUDIT_FILE=" + filepath.Join(logs, "audit.jsonl"), "LOG_LEVEL=error", "API_KEYS_FILE=" + keys(t, s.callers),
		"VAULT_ADDR=" + k.vault.Addr, "VAULT_TOKEN=" + k.vault.Token, "POLICY_DIR=" + policy, "POLICY_TIMEOUT=5s",
		"JWT_HS256_SECRET=" + secret, "JWT_KIND_CLAIM=kind", "TRUSTED_PROXIES=127.0.0.1",
	}, s.env...) {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, strings.ReplaceAll(value, "${DIR}", k.dir))
	}
	c, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	return run(t, c)
}

// run serves until the test ends.
func run(t *testing.T, c config.Config) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, done := make(line, 1), make(chan error, 1)
	g, err := server.New(ctx, c, server.Options{Stdout: ready, Stderr: os.Stderr, Version: "test"})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	go func() { done <- g.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var said struct{ Addr string }
	select {
	case text := <-ready:
		if err := json.Unmarshal(text, &said); err != nil {
			t.Fatal(err)
		}
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return said.Addr
}

// line takes the one line that a gateway writes when it is ready.
type line chan []byte

var _ io.Writer = line(nil)

func (l line) Write(p []byte) (int, error) {
	select {
	case l <- bytes.Clone(p):
	default:
	}
	return len(p), nil
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// keys writes the file of the callers with API keys; created=2h says how long ago one was
// made.
func keys(t *testing.T, callers map[string]map[string]string) string {
	t.Helper()
	var list []map[string]any
	for name, c := range callers {
		if c["key"] == "" {
			continue
		}
		sum := sha256.Sum256([]byte(c["key"]))
		entry := map[string]any{
			"id": name, "hash": "sha256:" + hex.EncodeToString(sum[:]), "subject": c["sub"], "kind": "agent",
			"scopes": []string{"read", "list", "write", "delete"},
		}
		if c["created"] != "" {
			entry["created"] = time.Now().Add(-ago(t, c["created"])).UTC().Format(time.RFC3339)
		}
		list = append(list, entry)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	write(t, file, encode(t, map[string]any{"keys": list}))
	return file
}
