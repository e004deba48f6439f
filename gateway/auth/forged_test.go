package auth_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// forged is a credential that must be refused, and the rule that it breaks.
type forged struct {
	name string
	rule rule.Rule
	req  *http.Request
}

// TestS22_ForgedCredentials presents what attackers present. Every row must be
// answered with 401 and a challenge, and must break exactly the rule it names: a
// row that is refused for another reason proves nothing.
func TestS22_ForgedCredentials(t *testing.T) {
	w := newWorld(t)
	var rows []forged
	for _, more := range []func() []forged{
		w.schemes, w.algorithms, w.keyIDs, w.headers, w.shapes, w.signatures, w.dates, w.names,
		w.subjects, w.lists, w.confirmations, w.proofs, w.apiKeys, w.certificates, w.spoofs, w.reports, w.mixtures, w.deniedOnes,
	} {
		rows = append(rows, more()...)
	}
	if len(rows) < 60 {
		t.Errorf("got %d rows, want at least 60", len(rows))
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { w.refuses(t, row) })
	}
}

func (w *world) refuses(t *testing.T, row forged) {
	t.Helper()
	c, err := w.chain.Authenticate(row.req)
	if err == nil {
		t.Fatalf("accepted as %s", c.Key())
	}
	e := call.AsError(err)
	if row.rule != rule.Ambiguous && e.Code != call.Unauthenticated {
		t.Errorf("got code %s", e.Code)
	}
	if !errors.Is(err, row.rule) || rule.Of(err) != row.rule {
		t.Errorf("got %v, want the rule %s", err, row.rule)
	}
	want := `Bearer resource_metadata="https://gw.test/.well-known/oauth-protected-resource/mcp"`
	switch {
	case strings.HasPrefix(string(row.rule), "dpop."):
		want = "DPoP" + strings.TrimPrefix(want, "Bearer") + `, error="invalid_dpop_proof", algs=`
	case row.rule == rule.Ambiguous:
		want += `, error="invalid_request"`
	case row.rule != rule.NoCredential:
		want += `, error="invalid_token"`
	}
	got := w.chain.Challenge(row.req, e, "/mcp")
	if !strings.HasPrefix(got, want) || row.rule == rule.NoCredential && got != want {
		t.Errorf("got challenge %s, want %s", got, want)
	}
	if strings.Contains(e.Msg, string(row.rule)) {
		t.Errorf("the message %q says which rule was broken", e.Msg)
	}
}

// TestTheGoodOnesPass is the other half of the table: what the forgeries are made
// from is accepted.
func TestTheGoodOnesPass(t *testing.T) {
	w := newWorld(t)
	token := w.jkt()
	x5t := w.good(map[string]any{"cnf": map[string]any{"x5t#S256": fingerprint(w.client)}})
	for name, row := range map[string]struct {
		subject string
		req     *http.Request
	}{
		"API key":         {"agent_api", w.get(header("X-API-Key", "fake-api-key-of-agent-api-000001"))},
		"RS256":           {"bot", w.get(bearer(w.rs.Sign(authtest.Claims("bot", nil))))},
		"ES256":           {"bot", w.get(bearer(w.es.Sign(authtest.Claims("bot", nil))))},
		"ES384":           {"bot", w.get(bearer(w.es384.Sign(authtest.Claims("bot", nil))))},
		"EdDSA":           {"bot", w.get(bearer(w.ed.Sign(authtest.Claims("bot", nil))))},
		"HS256":           {"bot", w.get(bearer(w.hs.Sign(authtest.Claims("bot", nil))))},
		"audience list":   {"bot", w.get(bearer(w.good(map[string]any{"aud": []string{"x", "mcp-agents"}})))},
		"resource":        {"bot", w.get(bearer(w.good(map[string]any{"aud": "https://gw.test/mcp"})))},
		"lower scheme":    {"bot", w.get(header("Authorization", "bearer "+w.good(nil)))},
		"certificate":     {"robot", w.get(with(w.client))},
		"proxy":           {"robot", w.get(from(proxy), header("X-SSL-Client-S-DN", "CN=robot,O=Fake"), header("X-SSL-Client-Verify", "SUCCESS"))},
		"key and cert":    {"agent_api", w.get(with(w.client), header("X-API-Key", "fake-api-key-of-agent-api-000001"))},
		"token and cert":  {"bot", w.get(with(w.client), bearer(w.good(nil)))},
		"proof":           {"bot", w.get(bound(token, w.holder.Proof("GET", gwURL, token, nil)))},
		"bound to a cert": {"bot", w.get(with(w.client), bearer(x5t))},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := w.chain.Authenticate(row.req)
			if err != nil {
				t.Fatal(err)
			}
			if c.Subject != row.subject {
				t.Errorf("got %s, want %s", c.Subject, row.subject)
			}
			if row.req.TLS != nil && c.CertSerial != w.client.Cert.SerialNumber.Text(16) {
				t.Errorf("the certificate is not on the caller: %q", c.CertSerial)
			}
		})
	}
}
