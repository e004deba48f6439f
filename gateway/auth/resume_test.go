package auth_test

import (
	"net/http"
	"testing"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// A session stands for a credential: it needs what the credential needs, and knows where
// the request comes from, not where the login came from.
func TestSessions(t *testing.T) {
	w := newWorld(t)
	fp := map[string]any{"cnf": map[string]any{"x5t#S256": fingerprint(w.client)}}
	other := w.ca.Client("robot", nil)
	header := func(verdict string) func(*http.Request) {
		return func(r *http.Request) {
			r.RemoteAddr = proxy
			r.Header.Set("X-Ssl-Client-S-Dn", "CN=robot")
			r.Header.Set("X-Ssl-Client-Verify", verdict)
		}
	}
	for name, tc := range map[string]struct {
		login, later []func(*http.Request)
		want         rule.Rule
	}{
		"bearer":                          {login: fns(bearer(w.good(nil))), later: fns(from("198.51.100.1:1"))},
		"certificate-bound token":         {login: fns(bearer(w.good(fp)), with(w.client)), later: fns(with(w.client))},
		"without its certificate":         {login: fns(bearer(w.good(fp)), with(w.client)), later: fns(), want: rule.CertBound},
		"with another certificate":        {login: fns(bearer(w.good(fp)), with(w.client)), later: fns(with(other)), want: rule.CertBound},
		"certificate alone":               {login: fns(with(w.client)), later: fns(with(w.client))},
		"certificate alone, without it":   {login: fns(with(w.client)), later: fns(), want: rule.CertBound},
		"certificate at a proxy":          {login: fns(header("SUCCESS")), later: fns(header("SUCCESS"))},
		"certificate at a proxy, without": {login: fns(header("SUCCESS")), later: fns(), want: rule.CertBound},
		"made-up header":                  {login: fns(header("SUCCESS")), later: fns(header("SUCCESS"), from(anyone)), want: rule.CertBound},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := w.chain.Authenticate(w.get(tc.login...))
			if err != nil {
				t.Fatal(err)
			}
			r := w.get(tc.later...)
			got, err := w.chain.Resume(r, c)
			if rule.Of(err) != tc.want {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if err == nil && (got.SourceIP != w.chain.SourceIP(r) || got.Key() != c.Key()) {
				t.Errorf("got %+v", got)
			}
		})
	}
	if _, err := w.chain.Resume(w.get(), nil); !call.Is(err, call.Unauthenticated) || rule.Of(err) != rule.NoSession {
		t.Errorf("no session: got %v", err)
	}
}

// The guesses of an address at sessions are counted as those at credentials.
func TestGuessedSessions(t *testing.T) {
	w := newWorld(t)
	w.cfg.FailuresPerMinute = 5
	chain := open(t, w.cfg)
	for range 5 {
		_, _ = chain.Resume(w.get(), nil)
	}
	if _, err := chain.Resume(w.get(), nil); !call.Is(err, call.RateLimited) {
		t.Errorf("got %v", err)
	}
}

func fns(f ...func(*http.Request)) []func(*http.Request) { return f }
