package oidc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/oidc"
)

func pemOf(t *testing.T, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// A key is made once, for its owner alone, whoever makes it first.
func TestMake(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "issuer.pem")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := oidc.Make(file); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	if err := oidc.Make(file); err != nil {
		t.Error(err)
	}
	after, _ := os.ReadFile(file)
	if left, _ := os.ReadDir(filepath.Dir(file)); string(before) != string(after) || len(left) != 1 {
		t.Errorf("the key has changed, or is not alone: %v", left)
	}
	if _, err := oidc.New("https://gateway.test", file); err != nil {
		t.Error(err)
	}
}

// What is signed can be verified with what is published, whatever the kind of key.
func TestAssert(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r, _ := rsa.GenerateKey(rand.Reader, 2048)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	prefix, _ := call.ParsePath("mcp/acme/bot")
	caller := &call.Caller{Tenant: "acme", Subject: "bot", Kind: "agent", Prefix: prefix, Roles: []string{`x","sub":"gateway/`}}
	for alg, private := range map[string]any{"ES256": ec, "RS256": r, "EdDSA": ed} {
		file := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(file, pemOf(t, private), 0o600); err != nil {
			t.Fatal(err)
		}
		i, err := oidc.New("https://gateway.test", file)
		if err != nil {
			t.Fatal(err)
		}
		jwt, err := i.Assert(caller, nil, "role")
		if err != nil {
			t.Fatal(err)
		}
		head, claims := verified(t, i, jwt.Reveal())
		if head["alg"] != alg || claims["sub"] != "acme/bot" || claims["aud"] != oidc.Audience || claims["target"] != "role" || claims["prefix"] != "mcp/acme/bot" {
			t.Errorf("%s: got %v %v", alg, head, claims)
		}
		if jwt, err = i.Assert(caller, map[string]string{"team": "red", "sub": "gateway"}, "role"); err != nil {
			t.Fatal(err)
		}
		_, with := verified(t, i, jwt.Reveal())
		if sub, _ := with["sub"].(string); with["claim_team"] != "red" || with["claim_sub"] != "gateway" || !strings.HasPrefix(sub, "acme/bot/") {
			t.Errorf("%s: with claims: got %v", alg, with)
		}
	}
}

// verified are header and claims of a token whose signature is good.
func verified(t *testing.T, i *oidc.Issuer, token string) (head, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	raw := make([][]byte, 3)
	for n, p := range parts {
		var err error
		if raw[n], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := i.Keys()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(keys[0]))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(parts[0] + "." + parts[1])
	sum := sha256.Sum256(text)
	good := false
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		good = ecdsa.Verify(p, sum[:], new(big.Int).SetBytes(raw[2][:32]), new(big.Int).SetBytes(raw[2][32:]))
	case *rsa.PublicKey:
		good = rsa.VerifyPKCS1v15(p, crypto.SHA256, sum[:], raw[2]) == nil
	case ed25519.PublicKey:
		good = ed25519.Verify(p, text, raw[2])
	}
	if !good || json.Unmarshal(raw[0], &head) != nil || json.Unmarshal(raw[1], &claims) != nil {
		t.Fatalf("the signature of %s is bad", token)
	}
	return head, claims
}

// What is no key that can sign is refused, without telling what is in the file.
func TestBadKeys(t *testing.T) {
	curve, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	for name, text := range map[string][]byte{
		"nothing": nil, "no PEM": []byte("secret-text"), "another curve": pemOf(t, curve),
		"no key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret-text")}),
	} {
		file := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := oidc.New("https://gateway.test", file); err == nil || strings.Contains(err.Error(), "secret-text") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
