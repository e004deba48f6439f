package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/e2e"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
	"portcullis/gateway/retry"
	"portcullis/gateway/server"
	"portcullis/gateway/vault/vaulttest"
	"portcullis/gateway/vaultpolicy"
)

// keyless is a gateway without any credential for Vault, whose policy lets one caller
// read everybody's secrets.
type keyless struct {
	vault    *vaulttest.Vault
	url, dir string
}

func newKeyless(t *testing.T, settings ...string) *keyless {
	t.Helper()
	k := &keyless{vault: vaulttest.Start(t), dir: t.TempDir()}
	policies := t.TempDir()
	wide := "version: 2\ngrants: {subjects: {wide: {kv: {mcp: {}}, transit: {mcp: {}}}}}\n"
	if err := os.WriteFile(filepath.Join(policies, "data.yaml"), []byte(wide), 0o600); err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(k.dir, "issuer.pem")
	if err := os.WriteFile(keyFile, newKey(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]string{
		"HOST": "127.0.0.1", "PORT": "0", "LOG_DIR": filepath.Join(k.dir, "logs"), "POLICY_DIR": policies, "POLICY_TIMEOUT": "5s", "SHUTDOWN_DELAY": "0s",
		"API_KEYS_JSON": `{"key-of-wide":"wide","key-of-narrow":"narrow","key-of-Narrow":"Narrow"}`, "VAULT_ADDR": k.vault.Addr, "VAULT_TIMEOUT": "30s",
		"VAULT_CALLERS": "jwt", "OIDC_ISSUER": "http://gateway.test", "OIDC_ISSUER_KEY_FILE": keyFile, "RATE_LIMIT_ENABLED": "false",
	} {
		t.Setenv(name, v)
	}
	for _, setting := range settings {
		name, v, _ := strings.Cut(setting, "=")
		t.Setenv(name, v)
	}
	c, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	k.setUp(t, c)
	k.url = serve(t, c)
	return k
}

func newKey(t *testing.T) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// setUp tells Vault what vault-setup would. The data of the policy grant the whole of
// mcp, which Vault's fence must not follow: it is set up before they do.
func (k *keyless) setUp(t *testing.T, c config.Config) {
	t.Helper()
	catalogue, err := ops.New(server.Mounts(c))
	if err != nil {
		t.Fatal(err)
	}
	e, err := policy.Open(policy.Config{Catalogue: catalogue, Logger: slog.New(slog.DiscardHandler), Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	s, err := server.VaultSetup(c, "jwt", vaultpolicy.Of(catalogue, e), e)
	if err != nil {
		t.Fatal(err)
	}
	firm := c
	firm.FirmStore = "vault:portcullis/state"
	if f, err := server.VaultSetup(firm, "jwt", vaultpolicy.Of(catalogue, e), e); err != nil {
		t.Error(err)
	} else if text, _ := f.Print("hcl"); !strings.Contains(text, `"portcullis/data/state/*"`) || !strings.Contains(text, `"portcullis/metadata/state/*"`) {
		t.Errorf("the gateway's policy lacks FIRM_STORE: %s", text)
	}
	for _, form := range []string{"hcl", "cli", "terraform"} {
		if text, err := s.Print(form); err != nil || !strings.Contains(text, "portcullis-caller") || strings.Contains(text, "PRIVATE") {
			t.Errorf("%s: got %v, %s", form, err, text)
		}
	}
	o, err := vaultpolicy.NewOperator(k.vault.Addr, "", call.Secret(k.vault.Token))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it may be repeated
		if err := o.SetUp(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// serve runs a gateway in the test and returns its URL.
func serve(t *testing.T, c config.Config) string {
	t.Helper()
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
	return line.Addr
}

func (k *keyless) send(t *testing.T, method, path, key, body string) (int, string) {
	t.Helper()
	return k.request(t, method, path, body, http.Header{"X-Api-Key": {key}})
}

func (k *keyless) request(t *testing.T, method, path, body string, header http.Header) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, k.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// entities are the entities that Vault's audit has for requests of a path, and for the
// gateway's own.
func (k *keyless) entities(t *testing.T, path string) map[string]bool {
	t.Helper()
	raw, err := os.ReadFile(k.vault.AuditFile)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for line := range bytes.Lines(raw) {
		var e struct {
			Type string
			Auth struct {
				Entity string `json:"entity_id"`
			}
			Request struct{ Path string }
		}
		if json.Unmarshal(line, &e) == nil && e.Type == "request" && e.Request.Path == path {
			found[e.Auth.Entity] = true
		}
	}
	return found
}

// Each caller is an entity of its own in Vault, also where names differ in case alone, and
// Vault keeps apart what is theirs even where the gateway's own policy would not.
func TestCallersLogInToVaultAsThemselves(t *testing.T) {
	k := newKeyless(t)
	for _, who := range []string{"wide", "narrow", "Narrow"} {
		if status, body := k.send(t, "PUT", "/secrets/app", "key-of-"+who, `{"data":{"of":"`+who+`"}}`); status != 200 {
			t.Fatalf("%s: got %d %s", who, status, body)
		}
		if status, body := k.send(t, "GET", "/secrets/app", "key-of-"+who, ""); status != 200 || !strings.Contains(body, `"of":"`+who+`"`) {
			t.Errorf("%s: got %d %s", who, status, body)
		}
	}
	if status, body := k.send(t, "GET", "/kv/secret/mcp/narrow/app", "key-of-wide", ""); status != 403 || strings.Contains(body, `"of"`) {
		t.Errorf("one reaches across: got %d %s", status, body)
	}
	one, other := k.entities(t, "secret/data/mcp/wide/app"), k.entities(t, "secret/data/mcp/narrow/app")
	if len(one) != 1 || len(other) != 2 || one[""] || other[""] { // the other one's was asked for by both
		t.Errorf("got the entities %v and %v", one, other)
	}
	for e := range k.entities(t, "secret/data/mcp/Narrow/app") {
		if other[e] {
			t.Errorf("two callers are the entity %s", e)
		}
	}
	if logins := k.vault.Count("auth/portcullis/login"); logins > 5 {
		t.Errorf("%d logins, want one of each caller and the gateway's own", logins)
	}
}

// TestTheIssuersKeyIsReplaced: with a new key every second, which Vault fetches when it
// meets it, no caller's first call fails, each of which is a login.
func TestTheIssuersKeyIsReplaced(t *testing.T) {
	k := &keyless{vault: vaulttest.Start(t), dir: t.TempDir()}
	keyFile := filepath.Join(k.dir, "issuer.pem")
	keys := [][]byte{newKey(t)}
	if err := os.WriteFile(keyFile, keys[0], 0o600); err != nil {
		t.Fatal(err)
	}
	callers := map[string]string{}
	for i := range 400 {
		callers[fmt.Sprintf("key-of-%d", i)] = fmt.Sprintf("caller%d", i)
	}
	raw, err := json.Marshal(callers)
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	for name, v := range map[string]string{
		"HOST": "127.0.0.1", "PORT": port, "LOG_DIR": filepath.Join(k.dir, "logs"), "POLICY_TIMEOUT": "5s", "SHUTDOWN_DELAY": "0s",
		"API_KEYS_JSON": string(raw), "VAULT_ADDR": k.vault.Addr, "VAULT_TIMEOUT": "30s",
		"VAULT_CALLERS": "jwt", "OIDC_ISSUER": "http://127.0.0.1:" + port, "OIDC_ISSUER_KEY_FILE": keyFile, "RATE_LIMIT_ENABLED": "false",
	} {
		t.Setenv(name, v)
	}
	c, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	k.url = serve(t, c)
	c.OIDCKeyFile = "" // Vault is not told the keys: it fetches them
	k.setUp(t, c)
	ready := func() bool {
		status, _ := k.send(t, "PUT", "/secrets/app", "key-of-0", `{"data":{"a":"b"}}`)
		return status == 200
	}
	e2e.Eventually(t, "the gateway gets into Vault", ready)
	work, done := make(chan int), make(chan bool)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range work {
				key := fmt.Sprintf("key-of-%d", i)
				if status, body := k.send(t, "PUT", "/secrets/app", key, `{"data":{"a":"b"}}`); status != 200 {
					t.Errorf("caller %d: got %d %s", i, status, body)
				}
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	calls, replaced, last := 1, 0, time.Now()
	for ; calls < 400 && replaced < 5; calls++ {
		if time.Since(last) > 1200*time.Millisecond {
			keys = append([][]byte{newKey(t)}, keys[:min(len(keys), 2)]...)
			if err := os.WriteFile(keyFile+".new", bytes.Join(keys, nil), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(keyFile+".new", keyFile); err != nil {
				t.Fatal(err)
			}
			replaced, last = replaced+1, time.Now()
		}
		work <- calls
		retry.Sleep(t.Context(), 25*time.Millisecond) // load, at a rate
	}
	close(work)
	<-done
	if replaced < 3 {
		t.Errorf("the key was replaced %d times in %d calls", replaced, calls)
	}
	t.Logf("%d callers, %d keys", calls, replaced+1)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// The keys are published, and nothing of them that is secret.
func TestKeysOfTheIssuer(t *testing.T) {
	k := newKeyless(t)
	for path, want := range map[string]string{
		"/.well-known/openid-configuration": `"jwks_uri":"http://gateway.test/oidc/jwks"`, "/oidc/jwks": `"kty":"EC"`,
	} {
		if status, body := k.send(t, "GET", path, "", ""); status != 200 || !strings.Contains(body, want) || strings.Contains(body, `"d":`) {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
}
