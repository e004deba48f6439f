package auth_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/auth"
	"portcullis/gateway/auth/authtest"
)

// TestNoneIsNotTheDefault: who gives a setting as none, 0 or an empty list, does not get what
// holds where nothing is given, which is more.
func TestNoneIsNotTheDefault(t *testing.T) {
	w := newWorld(t)
	w.cfg.MTLS.Scopes, w.cfg.JWT.ClockSkew, w.cfg.JWT.Claims.Scopes = []string{}, 0, []string{}
	ch := open(t, w.cfg)
	for kind, r := range map[string]*http.Request{"certificate": w.get(with(w.client)), "token": w.get(bearer(w.good(nil)))} {
		if c, err := ch.Authenticate(r); err != nil || len(c.Scopes) > 0 {
			t.Errorf("%s: got %v, %v, want no scopes", kind, c, err)
		}
	}
	past := map[string]any{"exp": time.Now().Add(-10 * time.Second).Unix()}
	if _, err := ch.Authenticate(w.get(bearer(w.good(past)))); err == nil {
		t.Error("a token that has ended is accepted without skew")
	}
}

// TestKeysAreNotUsedLongerThanIsSaid: with no time for keys that cannot be fetched, they
// end with the time for those that can.
func TestKeysAreNotUsedLongerThanIsSaid(t *testing.T) {
	k := authtest.NewKey("ES256", "k")
	synctest.Test(t, func(t *testing.T) {
		away := false
		cfg := auth.Config{DefaultPrefix: path(t, "mcp"), JWT: auth.JWT{
			Enabled: true, JWKSURL: "https://issuer.test/jwks", CacheFor: time.Minute, Issuers: []string{"mcp-auth"}, Audiences: []string{"mcp-agents"},
		}}
		cfg.HTTPClient = &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			if away {
				return nil, errors.New("away")
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(authtest.JWKS(k)))}, nil
		})}
		ch := open(t, cfg)
		token := k.Sign(authtest.Claims("bot", nil))
		var got []bool
		for range 2 {
			_, err := ch.Authenticate(request("Authorization: Bearer " + token))
			got = append(got, err == nil)
			away = true
			<-time.After(2 * time.Minute)
		}
		if !slices.Equal(got, []bool{true, false}) {
			t.Errorf("accepted at the beginning and two minutes later: %v", got)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
