package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// TestOddSubjectsWorkWithTokensOfTheirOwn: whatever a token calls its subject, the
// caller writes and reads its own secrets with a Vault token of its own, and nobody
// else's.
func TestOddSubjectsWorkWithTokensOfTheirOwn(t *testing.T) {
	signer := authtest.NewKey("HS256", "")
	signer.Private = []byte("obviously-fake-obviously-fake-obviously-fake")
	v := e2e.StartVault(t)
	g := e2e.StartGateway(t, v, "VAULT_TOKEN=", "VAULT_ROLE_ID="+v.RoleID, "VAULT_SECRET_ID="+v.SecretID, "CHILD_TOKEN_ENABLED=true",
		"JWT_HS256_SECRET="+string(signer.Private.([]byte)), "RATE_LIMIT_ENABLED=false", "POLICY_TIMEOUT=10s")
	prefixes := map[string]string{}
	for n, sub := range []string{
		"a..b", "..", "../victim", "repo:acme/app:ref:refs/heads/main", "system:serviceaccount:prod:app", "Auth0|5f7c8", "\u00e9", "e\u0301", "a b*+?#%",
		"\x00\n", strings.Repeat("long", 100), strings.Repeat("long", 100) + "x", "{{identity.entity.name}}", "~acme",
	} {
		tok := signer.SignWith(map[string]any{"alg": "HS256"}, authtest.Claims(sub, map[string]any{"scope": "read write list", "roles": []string{"/odd", "../role", "Domain Admins"}}))
		body := fmt.Sprintf(`{"data":{"n":"%d"}}`, n)
		if code, answer := bearer(t, g, tok, http.MethodPut, "/secrets/app", body); code != http.StatusOK && code != http.StatusCreated {
			t.Errorf("%q: write: %d %s", sub, code, answer)
		}
		if code, answer := bearer(t, g, tok, http.MethodGet, "/secrets/app", ""); code != http.StatusOK || !strings.Contains(answer, fmt.Sprintf(`"n":"%d"`, n)) {
			t.Errorf("%q: read: %d %s", sub, code, answer)
		}
		_, answer := bearer(t, g, tok, http.MethodGet, "/whoami", "")
		var who struct {
			Raw    string `json:"raw_subject"`
			Prefix string `json:"vault_path_prefix"`
		}
		if err := json.Unmarshal([]byte(answer), &who); err != nil || who.Raw != sub || prefixes[who.Prefix] != "" {
			t.Errorf("%q: got %+v, %v; the prefix is also that of %q", sub, who, err, prefixes[who.Prefix])
		}
		prefixes[who.Prefix] = sub
	}
}

// TestALargeTokenPassesTheListener: with what the providers with the largest ones
// send, 60 KiB of groups.
func TestALargeTokenPassesTheListener(t *testing.T) {
	signer := authtest.NewKey("HS256", "")
	signer.Private = []byte("obviously-fake-obviously-fake-obviously-fake")
	g := e2e.StartGateway(t, e2e.StartVault(t), "JWT_HS256_SECRET="+string(signer.Private.([]byte)), "RATE_LIMIT_ENABLED=false")
	groups := strings.Split(strings.Repeat("0f9a0c2e-0000-4000-8000-00000000,", 1400), ",")
	for i := range groups {
		groups[i] += fmt.Sprint(i)
	}
	tok := signer.SignWith(map[string]any{"alg": "HS256"}, authtest.Claims("big", map[string]any{"groups": groups[:1150]}))
	if len(tok) < 55<<10 || len(tok) > 64<<10 {
		t.Fatalf("the token has %d bytes", len(tok))
	}
	if code, answer := bearer(t, g, tok, http.MethodGet, "/whoami", ""); code != http.StatusOK || !strings.Contains(answer, groups[1149]) {
		t.Errorf("got %d %.300s", code, answer)
	}
}

// bearer makes a request with a token and returns the answer.
func bearer(t *testing.T, g *stack.Gateway, token, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}
