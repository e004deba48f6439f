package jose_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/jose"
	"portcullis/gateway/auth/rule"
)

// TestEveryAlgorithmNeedsItsOwnKey verifies tokens of each algorithm with the keys
// of all: only its own will do.
func TestEveryAlgorithmNeedsItsOwnKey(t *testing.T) {
	algs := []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	signers, keys := map[string]authtest.Key{}, map[string]*jose.Key{}
	for _, alg := range algs {
		k := authtest.NewKey(alg, alg)
		signers[alg] = k
		if b, ok := k.Private.([]byte); ok {
			keys[alg] = jose.Secret(b)
			continue
		}
		raw, err := json.Marshal(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		if keys[alg], err = jose.ParseKey(raw); err != nil {
			t.Fatal(err)
		}
	}
	for _, alg := range algs {
		tok, err := jose.Parse(signers[alg].Sign(authtest.Claims("bot", nil)))
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range algs {
			if err := tok.Verify(keys[other]); (err == nil) != (alg == other) {
				t.Errorf("%s with the key of %s: got %v", alg, other, err)
			}
		}
	}
}

func TestKeysThatAreNoVerificationKeys(t *testing.T) {
	ec := authtest.NewKey("ES256", "k").Public()
	with := func(name string, v any) map[string]any {
		m := map[string]any{}
		for k, v := range ec {
			m[k] = v
		}
		m[name] = v
		return m
	}
	for name, k := range map[string]any{
		"symmetric":       map[string]any{"kty": "oct", "k": "AAAA"},
		"for encryption":  with("use", "enc"),
		"for signing":     with("key_ops", []string{"sign"}),
		"off the curve":   with("y", ec["x"]),
		"another type":    map[string]any{"kty": "AKP", "pub": "AAAA"},
		"unknown curve":   with("crv", "P-999"),
		"no type":         with("kty", nil),
		"not an object":   []string{},
		"X25519":          map[string]any{"kty": "OKP", "crv": "X25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
		"no modulus":      map[string]any{"kty": "RSA", "e": "AQAB"},
		"point of zeroes": map[string]any{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
	} {
		raw, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := jose.ParseKey(raw); err == nil && got.Fits("ES256") == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := jose.ParseKey([]byte(`{"kty":"OKP","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`)); err == nil {
		t.Error("a duplicate name was accepted")
	}
}

func TestSecretsAreLongEnough(t *testing.T) {
	for alg, least := range map[string]int{"HS384": 48, "HS512": 64} {
		if jose.Secret(make([]byte, least)).Fits(alg) != nil || jose.Secret(make([]byte, least-1)).Fits(alg) == nil {
			t.Errorf("%s: want at least %d bytes", alg, least)
		}
	}
	if jose.Secret(nil).Fits("HS256") == nil {
		t.Error("an empty secret was accepted")
	}
}

func FuzzToken(f *testing.F) {
	k := authtest.NewKey("ES256", "k")
	raw, err := json.Marshal(k.Public())
	if err != nil {
		f.Fatal(err)
	}
	key, err := jose.ParseKey(raw)
	if err != nil {
		f.Fatal(err)
	}
	good := k.Sign(authtest.Claims("bot", nil))
	f.Add(good)
	f.Add(k.SignText(`{"alg":"none"}`, `{}`))
	f.Add("eyJhbGciOiJIUzI1NiJ9.e30.AA")
	f.Add("..")
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := jose.Parse(s)
		if err == nil {
			err = tok.Verify(key)
		}
		if s != good && rule.Of(err) == "" {
			t.Errorf("got %v, want a rule", err)
		}
	})
}

func Example() {
	_, err := jose.Parse("eyJhbGciOiJub25lIn0.e30.AA") // {"alg":"none"}
	fmt.Println(err)
	// Output:
	// token.alg
}
