package token_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/auth/token"
)

func TestSubjectsAreMadeOfClaims(t *testing.T) {
	k := authtest.NewKey("HS256", "")
	claims := map[string]any{
		"repository": "acme/app", "n": 7, "big": 123456789012345678, "empty": "",
		"kubernetes.io":   map[string]any{"namespace": "prod", "serviceaccount": map[string]any{"name": "app"}},
		"resource_access": map[string]any{"my.client": map[string]any{"id": "c1"}}, "https://acme.example/id": "u1",
	}
	for subject, want := range map[string]string{
		"sub": "bot", "{sub}": "bot", "{repository}": "acme/app", "gh-{repository}": "gh-acme/app", "repository": "acme/app",
		"{/kubernetes.io/namespace}:{sub}": "prod:bot", "{kubernetes.io.namespace}:{sub}": "prod:bot",
		"{/kubernetes.io/serviceaccount/name}@{/kubernetes.io/namespace}": "app@prod",
		"{resource_access.my.client.id}":                                  "c1", "{https://acme.example/id}": "u1", "run-{n}": "run-7", "run-{big}": "run-123456789012345678",
		"{no}": "", "{empty}": "", "{kubernetes.io}": "",
	} {
		v := verifier(t, k, func(i *token.Issuer) { i.Claims.Subject = subject })
		got, err := v.Verify(t.Context(), k.Sign(authtest.Claims("bot", claims)), time.Now())
		switch {
		case want == "" && (!errors.Is(err, rule.NoSubject) && !errors.Is(err, rule.ClaimType) || !strings.Contains(err.Error(), strings.Trim(subject, "{}"))):
			t.Errorf("%s: got %v, want the claim named", subject, err)
		case want != "" && (err != nil || got.Caller().RawSubject != want):
			t.Errorf("%s: got %+v, %v, want %s", subject, got, err, want)
		}
	}
}

// TestDifferentClaimsNeverMakeOneSubject: whatever the values hold, and be it what
// stands between them in the template.
func TestDifferentClaimsNeverMakeOneSubject(t *testing.T) {
	k := authtest.NewKey("HS256", "")
	rnd := rand.New(rand.NewPCG(3, 4))
	bits := []string{"a", "b", ":", "::", "/", "~", "~3a", "3a", "-", ".", "x:y"}
	word := func() string {
		var s strings.Builder
		for range 1 + rnd.IntN(3) {
			s.WriteString(bits[rnd.IntN(len(bits))])
		}
		return s.String()
	}
	for _, subject := range []string{"{a}:{b}:{c}", "{a}::{b}-{c}", "x:{a}/{b}/{c}:y", "{a}~{b}~3a{c}"} {
		v := verifier(t, k, func(i *token.Issuer) { i.Claims.Subject = subject })
		from := map[string]string{}
		for range 4000 {
			a, b, c := word(), word(), word()
			got, err := v.Verify(t.Context(), k.Sign(authtest.Claims("bot", map[string]any{"a": a, "b": b, "c": c})), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			id := fmt.Sprintf("%q %q %q", a, b, c)
			if old := from[got.Caller().Subject]; old != "" && old != id {
				t.Fatalf("%s: %s and %s are both %s", subject, old, id, got.Caller().RawSubject)
			}
			from[got.Caller().Subject] = id
		}
	}
}

func TestTemplatesThatCannotTellCallersApartAreRefused(t *testing.T) {
	for subject, want := range map[string]string{
		"{a}{b}": "text between", "{a": "a claim is written", "{}": "a claim is written", "{{a}}": "a claim is written", "a}": "closing brace",
		"{email}": "does not tell one identity", "x-{aud}": "does not tell", "{name}:{roles}": "does not tell", "$.sub": "names no claim", "a[0]": "names no claim",
	} {
		i := token.Issuer{Secret: make([]byte, 32), Names: []string{"i"}, Audiences: []string{"a"}, Claims: token.Claims{Subject: subject}}
		if _, _, err := token.New(token.Options{Issuers: []token.Issuer{i}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", subject, err, want)
		}
	}
}

// TestEachIssuerHasItsOwnRules: its keys, its audience, its meaning of claims. The
// keys of one are no keys of another.
func TestEachIssuerHasItsOwnRules(t *testing.T) {
	one, two := authtest.NewKey("HS256", ""), authtest.NewKey("HS256", "")
	secret := func(k authtest.Key) []byte { return k.Private.([]byte) }
	v, _, err := token.New(token.Options{Issuers: []token.Issuer{
		{Names: []string{"one"}, Secret: secret(one), Audiences: []string{"a"}, Claims: token.Claims{Subject: "one-{sub}", Default: "service"}},
		{Names: []string{"two", "two/v2"}, Secret: secret(two), Audiences: []string{"b"}, Claims: token.Claims{
			FixedTenant: "acme", Roles: "realm_access.roles", DefaultScopes: []string{"list"}, ScopeMap: map[string][]string{"w": {"write"}},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	try := func(k authtest.Key, iss, aud string, more map[string]any) string {
		claims := authtest.Claims("bot", more)
		claims["iss"], claims["aud"] = iss, aud
		got, err := v.Verify(t.Context(), k.Sign(claims), time.Now())
		if err != nil {
			return string(rule.Of(err))
		}
		c := got.Caller()
		return fmt.Sprint(c.Key(), " ", c.Kind, " ", c.Scopes, " ", c.Roles)
	}
	realm := map[string]any{"realm_access": map[string]any{"roles": []string{"r"}}}
	for _, c := range []struct{ got, want string }{
		{try(one, "one", "a", nil), "/one-bot service [read list] []"},
		{try(two, "two", "b", realm), "acme/bot agent [read list] [r]"},
		{try(two, "two/v2", "b", map[string]any{"scope": "openid"}), "acme/bot agent [openid list] []"},
		{try(two, "two", "b", map[string]any{"scope": "w"}), "acme/bot agent [w write] []"},
		{try(two, "two", "b", map[string]any{"scope": "read"}), "acme/bot agent [read] []"},
		{try(two, "one", "a", nil), "token.sig"},
		{try(one, "two", "b", nil), "token.sig"},
		{try(one, "one", "b", nil), "claim.aud"},
		{try(one, "three", "a", nil), "claim.iss"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
	if _, _, err := token.New(token.Options{Issuers: []token.Issuer{
		{Names: []string{"one"}, Secret: secret(one), Audiences: []string{"a"}}, {Names: []string{"x", "one"}, Secret: secret(two), Audiences: []string{"a"}},
	}}); err == nil || !strings.Contains(err.Error(), "two entries") {
		t.Errorf("one issuer in two entries: got %v", err)
	}
}
