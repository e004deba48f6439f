package vaultapi_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth/authtest"
)

const signer = "signs-tokens-for-the-vault-api-0123456789"

// Tokens log in where Vault's clients log in with them, and nothing that they say is
// taken for anything but a name.
func TestTokenLogins(t *testing.T) {
	w := newWorld(t, map[string]string{"JWT_HS256_SECRET": signer})
	key, holder := authtest.NewKey("HS256", ""), authtest.NewKey("ES256", "")
	key.Private = []byte(signer)
	token := func(subject string, more map[string]any) string {
		return key.Sign(authtest.Claims(subject, more))
	}
	for name, tc := range map[string]struct {
		path, jwt string
		status    int
		says      string
	}{
		"jwt":              {"auth/jwt/login", token("bot", nil), 200, ""},
		"kubernetes":       {"auth/kubernetes/login", token("bot", nil), 200, ""},
		"ended":            {"auth/jwt/login", token("bot", map[string]any{"exp": 1000}), 403, "expired"},
		"another issuer":   {"auth/jwt/login", token("bot", map[string]any{"iss": "other"}), 403, "issuer"},
		"bound to a key":   {"auth/jwt/login", token("bot", map[string]any{"cnf": map[string]any{"jkt": holder.Print()}}), 403, "DPoP proof"},
		"to a certificate": {"auth/jwt/login", token("bot", map[string]any{"cnf": map[string]any{"x5t#S256": "abc"}}), 403, "client certificate"},
		"an API key":       {"auth/jwt/login", "no.such.token", 403, ""},
	} {
		a := w.send(t, "PUT", tc.path, "", fmt.Sprintf(`{"role":"any","jwt":%q}`, tc.jwt))
		if a.status != tc.status || !strings.Contains(fmt.Sprint(a.body), tc.says) || (a.body["auth"] != nil) != (a.status == 200) {
			t.Errorf("%s: got %d %v", name, a.status, a.body)
		}
	}
	soon := token("bot", map[string]any{"exp": time.Now().Add(time.Minute).Unix(), "scope": "read write"})
	in := w.send(t, "PUT", "auth/jwt/login", "", fmt.Sprintf(`{"jwt":%q}`, soon))
	auth, _ := in.body["auth"].(map[string]any)
	session := fmt.Sprint(auth["client_token"])
	if life, _ := auth["lease_duration"].(float64); life <= 0 || life > 100 {
		t.Errorf("the session outlives its token: %v", auth)
	}
	if a := w.send(t, "PUT", "secret/data/mcp/bot/x", session, `{"data":{"a":"b"}}`); a.status != 200 {
		t.Errorf("its own secret: got %d %v", a.status, a.body)
	}
	if a := w.send(t, "DELETE", "secret/metadata/mcp/bot/x", session, ""); a.status != 403 {
		t.Errorf("without the scope: got %d %v", a.status, a.body)
	}
	bound := token("bot", map[string]any{"cnf": map[string]any{"jkt": holder.Print()}})
	url := w.url + "/v1/auth/token/create"
	a := w.send(t, "POST", "auth/token/create", "", `{}`, "Authorization: DPoP "+bound, "DPoP: "+holder.Proof("POST", url, bound, nil))
	if a.status != 400 || !strings.Contains(fmt.Sprint(a.body), "DPoP") || a.body["auth"] != nil {
		t.Errorf("a session of a bound token: got %d %v", a.status, a.body)
	}
	hostileSubjects(t, w, token)
}

// hostileSubjects log in, or do not, and reach no path but their own.
func hostileSubjects(t *testing.T, w *world, token func(string, map[string]any) string) {
	t.Helper()
	before := len(w.vault.Audit())
	r := rand.New(rand.NewPCG(3, 5))
	for range 200 {
		subject := authtest.Hostile(r)
		in := w.send(t, "PUT", "auth/jwt/login", "", fmt.Sprintf(`{"jwt":"%s"}`, token(subject, map[string]any{"scope": "read", "roles": []string{subject, authtest.Hostile(r)}})))
		auth, _ := in.body["auth"].(map[string]any)
		if auth == nil {
			continue
		}
		session := fmt.Sprint(auth["client_token"])
		for _, path := range []string{"secret/data/mcp/other/x", "secret/data/mcp/agent/x", "secret/data/x"} {
			if a := w.send(t, "GET", path, session, ""); a.status != 403 {
				t.Errorf("%q reads %s: got %d %v", subject, path, a.status, a.body)
			}
		}
	}
	for _, e := range w.vault.Audit()[before:] {
		if p := strings.Trim(e.Request.Path, "/"); !background.MatchString(p) {
			t.Errorf("Vault was asked for %q", p)
		}
	}
}
