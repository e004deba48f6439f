package vault_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/vaulttest"
)

func kvAt(path string) vault.Mount {
	return vault.Mount{Path: path, Type: "kv", Setting: "KV_MOUNT", Required: true}
}

// TestReadyNeedsWhatCallsNeed: the gateway is ready if and only if a call can succeed,
// and says what to do when none can.
func TestReadyNeedsWhatCallsNeed(t *testing.T) {
	v := vaulttest.Start(t)
	v.Write("sys/mounts/kv1", map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
	v.Write("sys/mounts/team/kv", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	v.Write("sys/policies/acl/nothing", map[string]string{"policy": `path "secret/other" { capabilities = ["deny"] }`})
	var bare struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	v.Do(vaulttest.Request{Method: http.MethodPost, Path: "auth/token/create", Body: map[string]any{"policies": []string{"nothing"}, "no_default_policy": true}}, &bare)
	for name, tc := range map[string]struct {
		token string
		mount vault.Mount
		code  call.Code
		says  string
	}{
		"as it should be":         {token: v.Token, mount: kvAt("secret")},
		"a slash in the name":     {token: v.Token, mount: kvAt("team/kv")},
		"a token with a line end": {token: v.Token + "\n", mount: kvAt("secret")},
		"a token with blanks":     {token: " \t" + v.Token + " \r\n", mount: kvAt("secret")},
		"no such token":           {token: "hvs.none", mount: kvAt("secret"), code: call.VaultAuth, says: "check VAULT_TOKEN"},
		"no such mount":           {token: v.Token, mount: kvAt("nomount"), code: call.VaultError, says: "vault secrets enable -path=nomount kv-v2"},
		"version 1":               {token: v.Token, mount: kvAt("kv1"), code: call.VaultError, says: "vault kv enable-versioning kv1"},
		"another engine":          {token: v.Token, mount: kvAt("transit"), code: call.VaultError, says: "is of type transit, not kv"},
		"within another mount":    {token: v.Token, mount: kvAt("secret/data"), code: call.VaultError, says: `lies within the one at "secret"`},
		"above a mount":           {token: v.Token, mount: kvAt("team"), code: call.VaultError, says: "correct KV_MOUNT"},
		"a token without rights":  {token: bare.Auth.Token, mount: kvAt("secret"), code: call.VaultError, says: "portcullis vault-policy"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newClient(t, vault.Config{Addr: v.Addr, Login: vault.Login{Token: call.Secret(tc.token)}, Mounts: []vault.Mount{tc.mount}})
			err := cl.Ready(t.Context())
			if codeOf(err) != tc.code || err != nil && !strings.Contains(call.AsError(err).Msg, tc.says) {
				t.Fatalf("got %v, want %q: %s", err, tc.code, tc.says)
			}
			c := caller("ready")
			p := c.Prefix
			list := call.Mint(c, call.Terms{Op: "kv.list", Resource: call.Resource{Mount: tc.mount.Path, Path: p}})
			s, oerr := cl.Open(t.Context(), list)
			if oerr == nil {
				oerr = s.List(t.Context(), "metadata/"+p.String(), &listed{})
			}
			empty := oerr == nil || call.Is(oerr, call.NotFound)
			if empty != (tc.code == "") {
				t.Errorf("a list: got %v, and ready is %v", oerr, err)
			}
		})
	}
}

// Engines that not every call needs do not make the gateway unready, but it says so.
func TestEnginesThatAreNotThere(t *testing.T) {
	v := vaulttest.Start(t)
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: vault.Login{Token: call.Secret(v.Token)}, Mounts: []vault.Mount{
		kvAt("secret"),
		{Path: "transit", Type: "transit", Setting: "TRANSIT_MOUNT"},
		{Path: "pg", Type: "database", Setting: "DATABASE_MOUNT"},
		{Path: "secret", Type: "ssh", Setting: "SSH_MOUNT"},
	}})
	if err := cl.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
	text := strings.Join(cl.Engines(), "\n")
	for _, want := range []string{"DATABASE_MOUNT: there is no secrets engine", "vault secrets enable -path=pg database"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %q, want %q", text, want)
		}
	}
	if strings.Contains(text, "TRANSIT_MOUNT") {
		t.Errorf("a sound engine is complained about: %q", text)
	}
}

// Where callers have tokens of their own, the gateway's need not have a right on the
// mounts.
func TestReadyWithCallersTokens(t *testing.T) {
	v := vaulttest.Start(t)
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v), Children: children(), Mounts: []vault.Mount{kvAt("secret"), {Path: "ssh", Type: "ssh", Setting: "SSH_MOUNT"}}})
	if err := cl.Ready(t.Context()); err != nil || len(cl.Engines()) > 0 {
		t.Errorf("got %v, %q", err, cl.Engines())
	}
}

func TestTokensThatCannotBeSent(t *testing.T) { overBoth(t, testTokensThatCannotBeSent) }

func testTokensThatCannotBeSent(t *testing.T) {
	for _, token := range []string{"hvs.a b", "hvs.a\nb", "hvs.ä", "hvs.a\x00"} {
		if _, err := vault.New(vault.Config{Addr: "http://127.0.0.1:1", Login: vault.Login{Token: call.Secret(token)}}); err == nil || strings.Contains(err.Error(), "hvs") {
			t.Errorf("%q: got %v", token, err)
		}
	}
}

// TestVaultBehindAForwardProxy: what leads to Vault is asked for every request.
func TestVaultBehindAForwardProxy(t *testing.T) {
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host == "vault.example:8200" && r.Header.Get("X-Vault-Token") == "own" {
			asked.Add(1)
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	cl := newClient(t, vault.Config{Addr: "http://vault.example:8200", Login: vault.Login{Token: "own"}, Proxy: http.ProxyURL(at)})
	if got, err := read(t, cl, caller("proxied")); err != nil || got != "v" || asked.Load() != 1 {
		t.Errorf("got %q, %v; the proxy was asked %d times", got, err, asked.Load())
	}
}

// TestNobodyWaitsForALookAtVault: while Vault takes its time to say how it is, calls and
// probes go on with what was found out before.
func TestNobodyWaitsForALookAtVault(t *testing.T) {
	asked, answered := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "lookup-self") {
			close(asked)
			<-answered
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer srv.Close()
	cl := newClient(t, vault.Config{Addr: srv.URL, Login: vault.Login{Token: "own"}, Timeout: time.Minute})
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		_ = cl.Verify(context.Background()) // what comes of it does not matter
	}()
	<-asked
	done := make(chan error, 1)
	go func() {
		_ = cl.Engines()
		_, err := read(t, cl, caller("meanwhile"))
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("a call waits for the look")
	}
	close(answered)
	<-looked
}
