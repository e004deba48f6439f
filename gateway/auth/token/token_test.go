package token_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/auth/token"
)

func verifier(t testing.TB, k authtest.Key, change func(*token.Issuer)) *token.Verifier {
	t.Helper()
	i := token.Issuer{Secret: k.Private.([]byte), Names: []string{"mcp-auth"}, Audiences: []string{"mcp-agents"}}
	if change != nil {
		change(&i)
	}
	v, _, err := token.New(token.Options{Issuers: []token.Issuer{i}, ClockSkew: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestClaimsBecomeACaller(t *testing.T) {
	k := authtest.NewKey("HS256", "")
	v := verifier(t, k, nil)
	now := time.Now()
	got, err := v.Verify(t.Context(), k.Sign(authtest.Claims("human", map[string]any{
		"scope": "read list read", "scopes": []string{"write", "list"}, "roles": "ops", "jti": "t1",
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix(),
		"act": map[string]any{"sub": "agent", "act": map[string]any{"sub": "tool"}},
	})), now)
	if err != nil {
		t.Fatal(err)
	}
	c := got.Caller()
	if s := fmt.Sprint(c.Subject, c.Scopes, c.Roles, c.Issuer, c.TokenID, c.OnBehalfOf.Subject, c.OnBehalfOf.Next.Subject); s !=
		fmt.Sprint("human", []string{"read", "list", "write"}, []string{"ops"}, "mcp-auth", "t1", "agent", "tool") {
		t.Errorf("got %s", s)
	}
	if c.Expires.Unix() != now.Add(time.Hour+30*time.Second).Unix() || c.AuthTime.Unix() != now.Unix() {
		t.Errorf("got %v to %v", c.AuthTime, c.Expires)
	}
}

// TestATokenThatNeverEndsCanBeWritten: the skew takes no date beyond what JSON can hold,
// wherever the gateway runs.
func TestATokenThatNeverEndsCanBeWritten(t *testing.T) {
	was := time.Local
	t.Cleanup(func() { time.Local = was })
	time.Local = time.FixedZone("east", 9*60*60)
	k := authtest.NewKey("HS256", "")
	got, err := verifier(t, k, nil).Verify(t.Context(), k.Sign(authtest.Claims("bot", map[string]any{"exp": 253402300799})), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := json.Marshal(got.Caller()); err != nil || !strings.Contains(string(raw), "9999-12-31T23:59:59Z") {
		t.Errorf("got %s, %v", raw, err)
	}
}

func TestARememberedTokenEnds(t *testing.T) {
	k := authtest.NewKey("HS256", "")
	v := verifier(t, k, nil)
	now := time.Now()
	tok := k.Sign(authtest.Claims("bot", map[string]any{"exp": now.Add(time.Minute).Unix()}))
	for _, step := range []struct {
		after time.Duration
		want  error
	}{{0, nil}, {time.Second, nil}, {80 * time.Second, nil}, {91 * time.Second, rule.Expired}} {
		if _, err := v.Verify(t.Context(), tok, now.Add(step.after)); !errors.Is(err, step.want) {
			t.Errorf("after %v: got %v, want %v", step.after, err, step.want)
		}
	}
}

func TestChecksCanBeSwitchedOff(t *testing.T) {
	k := authtest.NewKey("HS256", "")
	tok := k.Sign(authtest.Claims("bot", map[string]any{"iss": "other", "aud": nil}))
	v := verifier(t, k, func(o *token.Issuer) { o.AnyIssuer, o.AnyAudience = true, true })
	if _, err := v.Verify(t.Context(), tok, time.Now()); err != nil {
		t.Error(err)
	}
	v = verifier(t, k, func(o *token.Issuer) { o.RequireKID = true })
	if _, err := v.Verify(t.Context(), k.Sign(authtest.Claims("bot", nil)), time.Now()); !errors.Is(err, rule.KeyID) {
		t.Errorf("without the required key id: got %v", err)
	}
}

func FuzzClaims(f *testing.F) {
	k := authtest.NewKey("HS256", "")
	v := verifier(f, k, nil)
	for _, s := range []string{
		`{"iss":"mcp-auth","aud":"mcp-agents","sub":"bot","exp":32503680000,"scope":"read"}`,
		`{"iss":"mcp-auth","aud":["mcp-agents"],"sub":"../x","exp":1e300}`,
		`{"iss":"mcp-auth","aud":"mcp-agents","sub":"bot","exp":32503680000,"act":{"sub":"a","act":{}},"cnf":{"jkt":"x"}}`,
		`{"exp":-0.5e-9,"roles":[[]],"scopes":{}}`, `{`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, claims string) {
		got, err := v.Verify(t.Context(), k.SignText(`{"alg":"HS256"}`, claims), time.Now())
		if err != nil {
			if rule.Of(err) == "" {
				t.Errorf("got %v, want a rule", err)
			}
			return
		}
		c := got.Caller()
		if c.Expires.IsZero() || c.Subject == "" || c.Prefix.String() != c.Subject || c.Issuer != "mcp-auth" {
			t.Errorf("%q makes %+v", claims, c)
		}
	})
}

func Example() {
	k := authtest.NewKey("HS256", "")
	v, _, err := token.New(token.Options{Issuers: []token.Issuer{
		{Secret: k.Private.([]byte), Names: []string{"mcp-auth"}, Audiences: []string{"mcp-agents"}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, subject := range []string{"build-bot", "../victim"} {
		got, err := v.Verify(context.Background(), k.Sign(authtest.Claims(subject, nil)), time.Now())
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(got.Caller().Subject, got.Caller().Scopes)
	}
	// Output:
	// build-bot [read list]
	// _~-~2e~2e~2fvictim [read list]
}
