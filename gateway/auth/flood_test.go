package auth_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth"
	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// TestGoodCredentialsPassWhateverOthersDoBehindTheirAddress floods an address with
// bad credentials of every kind, and goes on with it between the good ones.
func TestGoodCredentialsPassWhateverOthersDoBehindTheirAddress(t *testing.T) {
	w := newWorld(t)
	w.cfg.FailuresPerMinute = 5
	ch := open(t, w.cfg)
	forger := authtest.Key{Alg: "ES256", KID: "es", Private: w.holder.Private}
	bad := []func(*http.Request){
		header("X-API-Key", "wrong"), bearer("wrong"), bearer("a.b.c"), bearer(forger.Sign(authtest.Claims("bot", nil))),
		bearer(w.good(map[string]any{"aud": "x"})), with(w.otherCA.Client("robot", nil)), with(w.revoked),
	}
	flood := func() (limited int) {
		for _, change := range bad {
			if _, err := ch.Authenticate(w.get(change)); call.Is(err, call.RateLimited) {
				limited++
			} else if err == nil {
				t.Fatal("accepted")
			}
		}
		return limited
	}
	for range 5 {
		flood()
	}
	if n := flood(); n != len(bad) {
		t.Errorf("%d of %d bad ones are told to wait", n, len(bad))
	}
	known := w.good(nil)
	for range 50 {
		flood()
		token := w.jkt()
		for name, change := range map[string]func(*http.Request){
			"API key": header("X-API-Key", apiKey), "key as bearer": bearer(apiKey), "known token": bearer(known), "new token": bearer(w.good(nil)),
			"new RSA token": bearer(w.rs.Sign(authtest.Claims("bot", nil))), "certificate": with(w.client), "proof": bound(token, w.holder.Proof("GET", gwURL, token, nil)),
		} {
			if _, err := ch.Authenticate(w.get(change)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	if _, err := ch.Authenticate(w.get()); !call.Is(err, call.Unauthenticated) {
		t.Errorf("nothing presented: got %v", err)
	}
}

// TestWhoFloodsWithProofsIsToldToWaitAndNobodyElse: one holder of a bound token makes
// more proofs than are remembered of it; another goes on.
func TestWhoFloodsWithProofsIsToldToWaitAndNobodyElse(t *testing.T) {
	w := newWorld(t)
	w.holder = authtest.NewKey("EdDSA", "") // the cheapest to make
	token := w.jkt()
	try := func(token string) error {
		_, err := w.chain.Authenticate(w.get(bound(token, w.holder.Proof("GET", gwURL, token, nil))))
		return err
	}
	var err error
	for n := 0; err == nil; n++ {
		if err = try(token); n > 20000 {
			t.Fatal("the flooder is never refused")
		}
	}
	if e := call.AsError(err); e.Code != call.RateLimited || e.RetryAfter == 0 || !errors.Is(err, rule.ProofFlood) {
		t.Errorf("the flooder: got %v", err)
	}
	if err := try(w.good(map[string]any{"sub": "other", "cnf": map[string]any{"jkt": w.holder.Print()}})); err != nil {
		t.Errorf("another caller: %v", err)
	}
}

// TestAStoreOfProofsThatIsAwayIsNoBadCredential: the answer is 503, and nobody is
// counted as a guesser for it.
func TestAStoreOfProofsThatIsAwayIsNoBadCredential(t *testing.T) {
	w := newWorld(t)
	w.cfg.FailuresPerMinute = 1
	w.cfg.ProofSeen = func(string, time.Time) (bool, error) { return false, errors.New("away") }
	ch, token := open(t, w.cfg), w.jkt()
	for range 3 {
		if _, err := ch.Authenticate(w.get(bound(token, w.holder.Proof("GET", gwURL, token, nil)))); !call.Is(err, call.Overloaded) {
			t.Errorf("got %v", err)
		}
	}
}

// TestANameBelongsToOneKindOfCredential: whoever names subjects at an issuer or a CA
// does not name the callers of the API keys, nor those of each other.
func TestANameBelongsToOneKindOfCredential(t *testing.T) {
	w := newWorld(t)
	token := bearer(w.good(map[string]any{"sub": "agent_api"}))
	cert := with(w.ca.Client("agent_api", nil))
	for name, change := range map[string]func(*http.Request){"token": token, "certificate": cert} {
		if _, err := w.chain.Authenticate(w.get(change)); rule.Of(err) != rule.Taken {
			t.Errorf("%s with an API key's name: got %v", name, err)
		}
	}
	if c, err := w.chain.Authenticate(w.get(header("X-API-Key", apiKey), cert)); err != nil || c.Subject != "agent_api" {
		t.Errorf("the key beside a certificate of the name: got %v, %v", c, err)
	}
	if _, err := w.chain.Authenticate(w.get(bearer(w.good(map[string]any{"sub": "robot"})))); err != nil {
		t.Errorf("the first to use a name: %v", err)
	}
	if _, err := w.chain.Authenticate(w.get(with(w.client))); rule.Of(err) != rule.Taken {
		t.Errorf("the second: got %v", err)
	}
	w.cfg.SharedSubjects = true
	shared := open(t, w.cfg)
	for _, change := range []func(*http.Request){token, cert, with(w.client)} {
		if _, err := shared.Authenticate(w.get(change)); err != nil {
			t.Errorf("shared: %v", err)
		}
	}
}

// TestAKeyThatIsAddedTakesItsNameBack: the names of API keys are read with the file.
func TestAKeyThatIsAddedTakesItsNameBack(t *testing.T) {
	w := newWorld(t)
	late := bearer(w.good(map[string]any{"sub": "late"}))
	if _, err := w.chain.Authenticate(w.get(late)); err != nil {
		t.Fatal(err)
	}
	w.file("keys.yaml", []byte(keysFile+"  - {id: late, hash: sha256:"+strings.Repeat("ab", 32)+", subject: late, scopes: []}\n"))
	w.chain.Reload()
	if _, err := w.chain.Authenticate(w.get(late)); rule.Of(err) != rule.Taken {
		t.Errorf("got %v", err)
	}
}

// TestANameOfTwoIssuersBelongsToTheFirstThatUsesIt: the same subject of another issuer
// is another identity, and never the same caller.
func TestANameOfTwoIssuersBelongsToTheFirstThatUsesIt(t *testing.T) {
	w := newWorld(t)
	k := authtest.NewKey("ES256", "other")
	w.cfg.JWT.More = []auth.Issuer{{Names: []string{"other"}, JWKSFile: w.file("other.json", authtest.JWKS(k)), Audiences: []string{"mcp-agents"}}}
	ch := open(t, w.cfg)
	try := func(k authtest.Key, iss, sub string) rule.Rule {
		_, err := ch.Authenticate(w.get(bearer(k.Sign(authtest.Claims(sub, map[string]any{"iss": iss})))))
		if err != nil && rule.Of(err) == "" {
			t.Errorf("got %v", err)
		}
		return rule.Of(err)
	}
	for _, c := range []struct{ got, want rule.Rule }{
		{try(w.es, "mcp-auth", "bot"), ""},
		{try(k, "other", "bot"), rule.Taken},
		{try(k, "other", "bot2"), ""},
		{try(w.es, "mcp-auth", "bot2"), rule.Taken},
		{try(w.es, "mcp-auth", "bot"), ""},
		{try(k, "other", "agent_api"), rule.Taken},
		{try(k, "mcp-auth", "bot"), rule.KeyID},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
