package dpop_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/dpop"
	"portcullis/gateway/auth/rule"
)

const url = "https://gw.test/mcp"

func request(k authtest.Key, token string, more map[string]any) dpop.Request {
	return dpop.Request{Proofs: []string{k.Proof("POST", url, token, more)}, Method: "POST", URL: url, Token: token, JKT: k.Print()}
}

func TestEveryKindOfKeyCanProveItself(t *testing.T) {
	c := dpop.New(nil)
	for _, alg := range []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"} {
		if err := c.Check(request(authtest.NewKey(alg, ""), "token", nil), time.Now()); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestAddressesThatAreTheSame(t *testing.T) {
	k, c := authtest.NewKey("ES256", ""), dpop.New(nil)
	for htu, want := range map[string]bool{
		url: true, "HTTPS://GW.test/mcp": true, "https://gw.test:443/mcp": true, url + "?a=b": true, url + "#f": true,
		"https://gw.test/mcp/": false, "https://gw.test/MCP": false, "https://gw.test/%6dcp": false, "https://gw.test/x/../mcp": false,
		"https://gw.test.evil/mcp": false, "https://gw.test": false, "": false, "://": false,
	} {
		err := c.Check(request(k, "token", map[string]any{"htu": htu}), time.Now())
		if got := err == nil; got != want || err != nil && !errors.Is(err, rule.ProofURL) {
			t.Errorf("%q: got %v", htu, err)
		}
	}
}

// TestAProofIsUsedOnceHoweverLongItIsFresh replays a proof from its first moment
// to beyond its last.
func TestAProofIsUsedOnceHoweverLongItIsFresh(t *testing.T) {
	k := authtest.NewKey("ES256", "")
	synctest.Test(t, func(t *testing.T) {
		c := dpop.New(nil)
		for _, ahead := range []time.Duration{0, dpop.Ahead} {
			r := request(k, "token", map[string]any{"iat": time.Now().Add(ahead).Unix()})
			if err := c.Check(r, time.Now()); err != nil {
				t.Fatal(err)
			}
			for range 90 {
				if err := c.Check(r, time.Now()); err == nil {
					t.Fatal("a replayed proof was accepted")
				}
				<-time.After(time.Second)
			}
			if err := c.Check(r, time.Now()); !errors.Is(err, rule.ProofTime) {
				t.Errorf("when it is old: got %v", err)
			}
		}
	})
}

func TestASharedMemoryThatFailsRefuses(t *testing.T) {
	c := dpop.New(func(string, time.Time) (bool, error) { return false, errors.New("store away") })
	if err := c.Check(request(authtest.NewKey("ES256", ""), "token", nil), time.Now()); !errors.Is(err, rule.ProofStore) {
		t.Errorf("got %v", err)
	}
}

// TestAFullMemoryOfProofsIsSharedEvenly: many that flood together do not use up what
// another caller needs.
func TestAFullMemoryOfProofsIsSharedEvenly(t *testing.T) {
	c := dpop.New(nil)
	refused := 0
	for flooder := range 20 {
		for i := range 9000 {
			if err := c.Note(fmt.Sprint("flooder", flooder), fmt.Sprint(flooder, " ", i)); errors.Is(err, rule.ProofFlood) {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("nobody was refused")
	}
	for i := range 2000 {
		if err := c.Note("usual", fmt.Sprint(i)); err != nil {
			t.Fatalf("proof %d of another caller: %v", i, err)
		}
	}
}

func FuzzProof(f *testing.F) {
	k := authtest.NewKey("ES256", "")
	f.Add(k.Proof("POST", url, "token", nil), "https://gw.test/x")
	f.Add(k.SignText(`{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC"}}`, `{}`), "x")
	f.Add("a.b.c", "")
	c := dpop.New(nil)
	f.Fuzz(func(t *testing.T, proof, address string) {
		r := dpop.Request{Proofs: []string{proof}, Method: "POST", URL: address, Token: "token", JKT: "nobody's"}
		if err := c.Check(r, time.Now()); rule.Of(err) == "" {
			t.Errorf("got %v, want a rule", err)
		}
	})
}

func Example() {
	k := authtest.NewKey("ES256", "")
	checker := dpop.New(nil)
	r := dpop.Request{
		Proofs: []string{k.Proof("POST", "https://gw.test/mcp", "the token", nil)},
		Method: "POST", URL: "https://gw.test/mcp", Token: "the token", JKT: k.Print(),
	}
	fmt.Println(checker.Check(r, time.Now()))
	fmt.Println(checker.Check(r, time.Now()))
	// Output:
	// <nil>
	// dpop.jti
}
