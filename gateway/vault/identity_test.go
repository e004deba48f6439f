package vault_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/vaulttest"
)

// jwtFile configures the jwt mount and returns a file with a token that it takes.
func jwtFile(t *testing.T, v *vaulttest.Vault) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	v.Write("auth/jwt/config", map[string]any{
		"jwt_validation_pubkeys": []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))},
	})
	v.Write("auth/jwt/role/gateway", map[string]any{
		"role_type": "jwt", "bound_audiences": []string{"vault"}, "user_claim": "sub",
		"token_policies": []string{"gateway"}, "token_ttl": "1h",
	})
	tok, err := jwt.NewBuilder().Subject("portcullis").Audience([]string{"vault"}).
		IssuedAt(time.Now()).Expiration(time.Now().Add(time.Hour)).Build()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Sign(tok, jwt.WithKey(jwa.ES256, key))
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, string(raw))
}

// kubernetesFile configures the kubernetes mount with a cluster that believes one
// service account, and returns a file with that account's token.
func kubernetesFile(t *testing.T, v *vaulttest.Vault) string {
	t.Helper()
	const account = "system:serviceaccount:portcullis:gateway"
	names := map[string]any{
		"namespace": "portcullis", "serviceaccount": map[string]string{"name": "gateway", "uid": "9d1c"}, "pod": map[string]string{"name": "p", "uid": "u"},
	}
	tok, err := jwt.NewBuilder().Issuer("kubernetes/serviceaccount").Subject(account).
		IssuedAt(time.Now()).Expiration(time.Now().Add(time.Hour)).Claim("kubernetes.io", names).Build()
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Sign(tok, jwt.WithKey(jwa.ES256, key))
	if err != nil {
		t.Fatal(err)
	}
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":%v,`+
			`"user":{"username":%q,"uid":"9d1c","groups":["system:serviceaccounts"]}}}`,
			r.URL.Path == "/apis/authentication.k8s.io/v1/tokenreviews" && strings.Contains(string(asked), string(raw)), account)
	}))
	t.Cleanup(cluster.Close)
	v.Write("auth/kubernetes/config", map[string]any{"kubernetes_host": cluster.URL, "disable_local_ca_jwt": true, "token_reviewer_jwt": string(raw)})
	v.Write("auth/kubernetes/role/gateway", map[string]any{
		"bound_service_account_names": "gateway", "bound_service_account_namespaces": "portcullis", "token_policies": []string{"gateway"}, "audience": "",
	})
	return writeFile(t, string(raw))
}

func TestLogin(t *testing.T) {
	v := vaulttest.Start(t)
	secretID := "auth/approle/role/gateway/secret-id"
	forged := wrapped(t, v, "sys/wrapping/wrap", map[string]string{"secret_id": v.SecretID})
	cases := map[string]struct {
		login vault.Login
		want  call.Code // empty for success
	}{
		"token":             {login: vault.Login{Token: call.Secret(v.Token)}},
		"token file":        {login: vault.Login{TokenFile: writeFile(t, v.Token)}},
		"approle":           {login: approle(v)},
		"secret id file":    {login: vault.Login{RoleID: v.RoleID, SecretIDFile: writeFile(t, v.SecretID)}},
		"wrapped secret id": {login: vault.Login{RoleID: v.RoleID, SecretIDFile: writeFile(t, wrapped(t, v, secretID, map[string]string{})), SecretIDWrapped: true}},
		"kubernetes":        {login: vault.Login{Role: "gateway", JWTFile: kubernetesFile(t, v), Mount: "kubernetes"}},
		"jwt":               {login: vault.Login{Role: "gateway", JWTFile: jwtFile(t, v)}},
		"secret id that somebody else wrapped": {
			login: vault.Login{RoleID: v.RoleID, SecretID: call.Secret(forged), SecretIDWrapped: true}, want: call.VaultAuth,
		},
		"wrong secret id": {login: vault.Login{RoleID: v.RoleID, SecretID: "wrong"}, want: call.VaultAuth},
		"wrong token":     {login: vault.Login{Token: "wrong"}, want: call.VaultAuth},
		"missing file":    {login: vault.Login{Role: "gateway", JWTFile: "/nonexistent"}, want: call.VaultAuth},
		"nothing":         {want: call.VaultAuth},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cl := newClient(t, vault.Config{Addr: v.Addr, Login: tc.login})
			err := put(t, cl, caller("login"), "x")
			if tc.want == "" && err != nil || tc.want != "" && !call.Is(err, tc.want) {
				t.Errorf("write: got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestWrappedSecretIDServesEveryLogin(t *testing.T) {
	v := vaulttest.Start(t)
	token := wrapped(t, v, "auth/approle/role/gateway/secret-id", map[string]string{})
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: vault.Login{RoleID: v.RoleID, SecretID: call.Secret(token), SecretIDWrapped: true}})
	c := caller("again")
	for i := range 3 {
		if err := put(t, cl, c, "x"); err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
		v.Write("sys/leases/revoke-prefix/auth/approle/login", nil)
	}
	if n := v.Count("sys/wrapping/unwrap"); n != 1 {
		t.Errorf("unwrapped %d times, want once", n)
	}
}

func TestRevokedTokenIsReplacedOnce(t *testing.T) {
	v := vaulttest.Start(t)
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v)})
	if err := put(t, cl, caller("a"), "before"); err != nil {
		t.Fatal(err)
	}
	v.Write("sys/leases/revoke-prefix/auth/approle/login", nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got, err := read(t, cl, caller("a")); err != nil || got != "before" {
				t.Errorf("read: got %q and %v", got, err)
			}
		})
	}
	wg.Wait()
	if n := v.Count("auth/approle/login"); n != 2 {
		t.Errorf("logged in %d times, want twice", n)
	}
	if n := v.Count("auth/token/lookup-self"); n != 0 {
		t.Errorf("looked itself up %d times, want never", n)
	}
}

func TestTokenIsRenewedAndGivenBack(t *testing.T) {
	v := vaulttest.Start(t)
	v.Write("auth/approle/role/gateway", map[string]any{"token_policies": "gateway", "token_ttl": "3s"})
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v)})
	run(t, cl)
	e2e.Eventually(t, "two renewals", func() bool { return v.Count("auth/token/renew-self") >= 2 })
	if n := v.Count("auth/approle/login"); n != 1 {
		t.Errorf("logged in %d times, want once", n)
	}
	if err := cl.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
	if n := v.Count("auth/token/revoke-self"); n != 1 {
		t.Errorf("revoked itself %d times, want once", n)
	}
	if err := put(t, cl, caller("late"), "x"); err == nil {
		t.Error("a closed client still writes")
	}
}

func TestLongestLifeEndsInAnotherLogin(t *testing.T) {
	v := vaulttest.Start(t)
	v.Write("auth/approle/role/gateway", map[string]any{"token_policies": "gateway", "token_ttl": "2s", "token_max_ttl": "3s"})
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v)})
	run(t, cl)
	e2e.Eventually(t, "three logins", func() bool {
		if err := put(t, cl, caller("b"), "x"); err != nil {
			t.Errorf("write: %v", err)
		}
		return t.Failed() || v.Count("auth/approle/login") >= 3
	})
}

// TestReplacedTokenIsRevoked: where callers have tokens of their own, nothing needs
// the gateway's old token once theirs have ended.
func TestReplacedTokenIsRevoked(t *testing.T) {
	v := vaulttest.Start(t)
	v.Write("auth/approle/role/gateway", map[string]any{"token_policies": "gateway", "token_ttl": "4s", "token_max_ttl": "6s"})
	ch := children()
	ch.TTL = time.Second
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: approle(v), Children: ch})
	run(t, cl)
	e2e.Eventually(t, "a token to be given back", func() bool {
		if err := put(t, cl, caller("b"), "x"); err != nil {
			t.Errorf("write: %v", err)
		}
		return t.Failed() || v.Count("auth/token/revoke-self") >= 1
	})
}

// TestSecretIDIsReadAgain: a login that fails because the secret id is used up works
// again as soon as its file has another one, wrapped as before.
func TestSecretIDIsReadAgain(t *testing.T) {
	v := vaulttest.Start(t)
	const path = "auth/approle/role/gateway/secret-id"
	once := map[string]string{"num_uses": "1"}
	file := writeFile(t, wrapped(t, v, path, once))
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: vault.Login{RoleID: v.RoleID, SecretIDFile: file, SecretIDWrapped: true}})
	c := caller("reread")
	if err := put(t, cl, c, "1"); err != nil {
		t.Fatal(err)
	}
	v.Write("sys/leases/revoke-prefix/auth/approle/login", nil)
	if err := put(t, cl, c, "2"); !call.Is(err, call.VaultAuth) {
		t.Errorf("with a used secret id: got %v, want vault_auth", err)
	}
	rewrite(t, file, wrapped(t, v, path, once))
	e2e.Eventually(t, "a write with the new one", func() bool { return put(t, cl, c, "3") == nil })
}

func TestTokenFileIsReadAgain(t *testing.T) {
	v := vaulttest.Start(t)
	var made struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		} `json:"auth"`
	}
	v.Do(vaulttest.Request{Method: http.MethodPost, Path: "auth/token/create", Body: map[string]any{"policies": []string{"gateway"}}}, &made)
	file := writeFile(t, made.Auth.ClientToken)
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: vault.Login{TokenFile: file}})
	if err := put(t, cl, caller("f"), "1"); err != nil {
		t.Fatal(err)
	}
	v.Do(vaulttest.Request{Token: made.Auth.ClientToken, Method: http.MethodPost, Path: "auth/token/revoke-self", Body: map[string]any{}}, nil)
	rewrite(t, file, v.Token)
	if err := put(t, cl, caller("f"), "2"); err != nil {
		t.Errorf("write with the new token: %v", err)
	}
	if err := cl.Close(context.Background()); err != nil || status(t, v, v.Token) != http.StatusOK {
		t.Errorf("a token that was given to the gateway is gone (close: %v)", err)
	}
}

// TestNotReadyWithATokenThatVaultRefuses: a gateway whose one token is gone is not
// ready, says so once, and is ready again when Vault knows the token.
func TestNotReadyWithATokenThatVaultRefuses(t *testing.T) {
	v := vaulttest.Start(t)
	var log strings.Builder
	cl := newClient(t, vault.Config{
		Addr: v.Addr, Login: vault.Login{Token: "not-known-yet"},
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	for range 2 {
		if err := put(t, cl, caller("refused"), "x"); !call.Is(err, call.VaultAuth) {
			t.Errorf("write: got %v, want vault_auth", err)
		}
		if err := cl.Ready(t.Context()); !call.Is(err, call.VaultAuth) {
			t.Errorf("ready: got %v, want vault_auth", err)
		}
	}
	v.Write("auth/token/create", map[string]any{"id": "not-known-yet"})
	if err := cl.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
	if err := put(t, cl, caller("refused"), "x"); err != nil {
		t.Errorf("write: %v", err)
	}
	if text := log.String(); strings.Count(text, "does not accept") != 1 || strings.Count(text, "again") != 1 || strings.Contains(text, "not-known-yet") {
		t.Errorf("the log:\n%s", text)
	}
}
