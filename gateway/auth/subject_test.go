package auth_test

import (
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/auth"
	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// TestSubjectsOfTokensAreNeverRefusedForTheirLetters: whatever an issuer calls its
// workloads, each has a prefix of its own, one segment below the base.
func TestSubjectsOfTokensAreNeverRefusedForTheirLetters(t *testing.T) {
	w := newWorld(t)
	seen := map[string]string{}
	for _, sub := range []string{
		"repo:acme/app:ref:refs/heads/main", "system:serviceaccount:prod:app", "auth0|5f7c8", "project_path:g/p:ref_type:branch:ref:main",
		"organization:acme:project:x:workspace:y:run_phase:apply", "spiffe://prod.test/ns/x/sa/y",
		"../victim", "..", ".", ".hidden", "a..b", "a/b", "/a", "a/", `a\b`, "a%2fb", "a b", " a", "a\n", "a\x00b", "*", "+", "{{identity.entity.name}}",
		"a:b", "a,b", "~acme", "a~3ab", "\u0430gent", "a\u202eb", "\u00e9", "e\u0301", "A:b", strings.Repeat("a", 129), strings.Repeat("a", 130), strings.Repeat("a", 20000),
	} {
		c, err := w.chain.Authenticate(w.get(bearer(w.good(map[string]any{"sub": sub, "act": map[string]any{"sub": sub}}))))
		if err != nil {
			t.Errorf("%.40q: %v", sub, err)
			continue
		}
		if old, ok := seen[c.Key()]; ok {
			t.Errorf("%.40q and %.40q are both %s", sub, old, c.Key())
		}
		seen[c.Key()] = sub
		if c.RawSubject != sub || c.OnBehalfOf.RawSubject != sub || c.OnBehalfOf.Subject != c.Subject {
			t.Errorf("%.40q: got raw %.40q, actor %+v", sub, c.RawSubject, c.OnBehalfOf)
		}
		if p := c.Prefix.String(); p != "mcp/"+c.Subject || strings.Count(p, "/") != 1 {
			t.Errorf("%.40q: prefix %s", sub, p)
		}
		if _, err := call.ParsePath(c.Prefix.String()); err != nil {
			t.Errorf("%.40q: prefix %s: %v", sub, c.Prefix, err)
		}
	}
}

// TestOddRolesAndGroupsCostNobodyTheRest: they reach the policy as they are.
func TestOddRolesAndGroupsCostNobodyTheRest(t *testing.T) {
	w := newWorld(t)
	c, err := w.chain.Authenticate(w.get(bearer(w.good(map[string]any{
		"roles":  []any{"dev", "/admins", "Domain Admins", "../x", "", nil, 7, true, map[string]any{"name": "x"}, "dev", strings.Repeat("r", 300), "\u00e9"},
		"groups": []any{"CN=Ops,OU=Groups,DC=acme", "ops"},
	}))))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%.20q", c.Roles), fmt.Sprintf("%.20q", []string{"dev", "/admins", "Domain Admins", "../x", "", "7", "true", strings.Repeat("r", 300), "\u00e9"}); got != want {
		t.Errorf("got roles %s, want %s", got, want)
	}
	if fmt.Sprint(c.Groups) != "[CN=Ops,OU=Groups,DC=acme ops]" {
		t.Errorf("got groups %q", c.Groups)
	}
}

// TestATokenWithManyGroupsPasses: up to 64 KiB, which the header limit allows.
func TestATokenWithManyGroupsPasses(t *testing.T) {
	w := newWorld(t)
	var groups []string
	for i := range 900 {
		groups = append(groups, fmt.Sprintf("%08d-aaaa-bbbb-cccc-0123456789ab", i))
	}
	tok := w.rs.Sign(authtest.Claims("bot", map[string]any{"groups": groups}))
	if len(tok) < 40<<10 || len(tok) > 64<<10 {
		t.Fatalf("the token has %d bytes", len(tok))
	}
	for range 2 { // verified, then remembered
		c, err := w.chain.Authenticate(w.get(bearer(tok)))
		if err != nil || len(c.Groups) != 900 {
			t.Fatalf("got %v, %v", c, err)
		}
	}
}

// TestHeadersThatOnlyNameAKeyPass: GitHub Actions and Entra send x5t with each token.
func TestHeadersThatOnlyNameAKeyPass(t *testing.T) {
	w := newWorld(t)
	for _, more := range []map[string]any{{"x5t": "abc"}, {"x5t#S256": "abc"}, {"x5t": 7, "nonce": "n", "ver": "1"}} {
		if _, err := w.chain.Authenticate(w.get(bearer(headed(w.es, more)))); err != nil {
			t.Errorf("%v: %v", more, err)
		}
	}
}

// TestAnAPIKeyComesAsBearerToo: because many clients can send no other header. It is
// final like every credential.
func TestAnAPIKeyComesAsBearerToo(t *testing.T) {
	w := newWorld(t)
	w.cfg.APIKeys.JSON = `{"fake-api-key-of-agent-api-000001":"agent_api","fake.key.with-two-dots-000000001":"dots"}`
	ch := open(t, w.cfg)
	for key, want := range map[string]string{"fake-api-key-of-agent-api-000001": "agent_api", "fake.key.with-two-dots-000000001": "dots"} {
		c, err := ch.Authenticate(w.get(bearer(key)))
		if err != nil || c.Subject != want || c.Method != call.APIKey {
			t.Errorf("%s: got %v, %v", key, c, err)
		}
	}
	for name, c := range map[string]struct {
		value string
		want  rule.Rule
	}{
		"wrong key": {"Bearer wrong", rule.UnknownKey}, "a broken token": {"Bearer eyJhbGciOiJIUzI1NiJ9.e30", rule.Compact},
		"three parts": {"Bearer a.b.c", rule.Compact}, "as DPoP": {"DPoP fake-api-key-of-agent-api-000001", rule.Compact},
	} {
		if _, err := ch.Authenticate(w.get(header("Authorization", c.value))); rule.Of(err) != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	off := w.cfg
	off.APIKeys = auth.APIKeys{}
	if _, err := open(t, off).Authenticate(w.get(bearer("fake-api-key-of-agent-api-000001"))); rule.Of(err) != rule.Compact {
		t.Errorf("without API keys: got %v", err)
	}
}

// TestRefusalsSayInAWordWhatToMend: to whom holds a token with a good signature; to
// others no more than that it has none.
func TestRefusalsSayInAWordWhatToMend(t *testing.T) {
	w := newWorld(t)
	forger := authtest.Key{Alg: "ES256", KID: "es", Private: w.holder.Private}
	for name, c := range map[string]struct{ token, want string }{
		"expired":       {w.good(map[string]any{"exp": 1}), "expired"},
		"audience":      {w.good(map[string]any{"aud": "x"}), "audience"},
		"issuer":        {w.good(map[string]any{"iss": "x"}), "issuer"},
		"not yet":       {w.good(map[string]any{"nbf": 253402300000}), "not yet valid"},
		"unknown key":   {headed(w.es, map[string]any{"kid": "x"}), "unknown key"},
		"no subject":    {w.good(map[string]any{"sub": nil}), "subject"},
		"signature":     {forger.Sign(authtest.Claims("bot", nil)), "signature"},
		"forged, late":  {forger.Sign(authtest.Claims("bot", map[string]any{"exp": 1})), "signature"},
		"forged, aud":   {forger.Sign(authtest.Claims("bot", map[string]any{"aud": "x"})), "signature"},
		"no token":      {"a.b.c", "malformed"},
		"embedded":      {headed(w.es, map[string]any{"x5c": []string{"x"}}), "embedded key"},
		"algorithm":     {headed(w.es, map[string]any{"alg": "none"}), "algorithm"},
		"wrong API key": {"wrong", "unknown key"},
	} {
		_, err := w.chain.Authenticate(w.get(bearer(c.token)))
		if e := call.AsError(err); e == nil || e.Msg != "the credential is not valid: "+c.want {
			t.Errorf("%s: got %v, want %s", name, e, c.want)
		}
	}
}
