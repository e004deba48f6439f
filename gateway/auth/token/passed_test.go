package token_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/auth/token"
)

// TestChosenClaimsReachThePolicyInTheirOwnTypes: and nothing that was not chosen.
func TestChosenClaimsReachThePolicyInTheirOwnTypes(t *testing.T) {
	k := authtest.NewKey("HS256", "")
	v := verifier(t, k, func(o *token.Issuer) {
		o.Claims.Pass = []string{"amr", "auth_time", "groups=/realm_access/roles", "nothing", "mfa", "none"}
	})
	got, err := v.Verify(t.Context(), k.Sign(authtest.Claims("bot", map[string]any{
		"amr": []string{"pwd", "otp"}, "auth_time": 1700000000, "mfa": true, "secret": "unseen",
		"realm_access": map[string]any{"roles": []any{"Domain Admins", 7}},
	})), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"amr": []any{"pwd", "otp"}, "auth_time": float64(1700000000), "mfa": true,
		"groups": []any{"Domain Admins", float64(7)},
	}
	if !reflect.DeepEqual(got.Caller().Claims, want) {
		t.Errorf("got %v, want %v", got.Caller().Claims, want)
	}
	if got.Caller().ProvedAt.Unix() != 1700000000 {
		t.Errorf("got proved at %v", got.Caller().ProvedAt)
	}
}

func TestClaimsForThePolicyAreBounded(t *testing.T) {
	k := authtest.NewKey("HS256", "")
	v := verifier(t, k, func(o *token.Issuer) { o.Claims.Pass = []string{"groups"} })
	for n, want := range map[int]error{10: nil, 3000: rule.ClaimSize} {
		groups := strings.Split(strings.Repeat("g,", n), ",")
		for i := range groups {
			groups[i] = "group"
		}
		_, err := v.Verify(t.Context(), k.Sign(authtest.Claims("bot", map[string]any{"groups": groups})), time.Now())
		if !errors.Is(err, want) && !errors.Is(err, rule.TooLarge) {
			t.Errorf("%d groups: got %v, want %v", n, err, want)
		}
	}
}

func TestASettingForPassedClaimsThatCannotWorkIsRefused(t *testing.T) {
	for _, entries := range [][]string{{"a", "a=/b"}, {"a="}, {"=/b"}, {"a b"}, {"1"}, strings.Split(strings.Repeat("a,", 40), ",")} {
		i := token.Issuer{Secret: make([]byte, 32), Names: []string{"i"}, Audiences: []string{"a"}, Claims: token.Claims{Pass: entries}}
		if _, _, err := token.New(token.Options{Issuers: []token.Issuer{i}}); err == nil || !strings.Contains(err.Error(), "JWT_CLAIMS_TO_POLICY") {
			t.Errorf("%q: got %v", entries, err)
		}
	}
}

// TestActorsKeepTheirKinds: a chain says who acted, what each is and what the token
// called it.
func TestActorsKeepTheirKinds(t *testing.T) {
	k := authtest.NewKey("HS256", "")
	v := verifier(t, k, func(o *token.Issuer) { o.Claims.Kind = "kind" })
	got, err := v.Verify(t.Context(), k.Sign(authtest.Claims("person", map[string]any{
		"kind": "human", "act": map[string]any{
			"sub": "tool", "kind": "service", "iss": "https://idp.test",
			"act": map[string]any{"sub": "agent", "act": map[string]any{"sub": "odd", "kind": "root"}},
		},
	})), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a := got.Caller().OnBehalfOf
	if a.Kind != "service" || a.Issuer != "https://idp.test" || a.RawSubject != "tool" || a.Next.Kind != "agent" || a.Next.Next.Kind != "agent" {
		t.Errorf("got %+v, %+v, %+v", a, a.Next, a.Next.Next)
	}
}
