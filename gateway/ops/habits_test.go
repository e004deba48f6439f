package ops_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/ops/opstest"
)

// What is not said to be text is base64, and what may be either is refused.
func TestEncodingIsToldOrRefused(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct{ name, args, want string }{
		{"transit.encrypt", `{"key":"mcp","plaintext":"hello"}`, `give encoding "utf-8"`},
		{"transit.encrypt", `{"key":"mcp","plaintext":"test"}`, `give encoding "utf-8" or "base64"`},
		{"transit.sign", `{"key":"signing","input":"Test"}`, `give encoding "utf-8" or "base64"`},
		{"transit.hmac", `{"key":"mcp","input":"12345678"}`, `give encoding "utf-8" or "base64"`},
		{"transit.hash", `{"input":"not base64!"}`, `give encoding "utf-8"`},
		{"transit.verify", `{"key":"signing","input":"deadbeef","signature":"vault:v1:x"}`, `give encoding "utf-8" or "base64"`},
		{"transit.encrypt", `{"key":"mcp","plaintext":"aGk=","context":"?"}`, "argument context: not base64"},
		{"transit.decrypt", `{"key":"mcp","ciphertext":"vault:v1:x","associated_data":"?"}`, "argument associated_data: not base64"},
	} {
		_, err := r.do(t.Context(), c.name, c.args)
		if !call.Is(err, call.InvalidRequest) || !strings.Contains(call.AsError(err).Msg, c.want) {
			t.Errorf("%s %s: got %v, want %s", c.name, c.args, err, c.want)
		}
	}
	for args, want := range map[string]string{
		`{"key":"mcp","plaintext":"aGk="}`:                            "base64",
		`{"key":"mcp","plaintext":"dGVzdHRl"}`:                        "base64", // of text
		`{"key":"mcp","plaintext":"test","encoding":"base64"}`:        "base64",
		`{"key":"mcp","plaintext":"test","encoding":"text"}`:          "utf-8",
		`{"key":"mcp","plaintext":"test","encoding":"UTF8"}`:          "utf-8",
		`{"key":"mcp","plaintext":""}`:                                "base64",
		`{"key":"mcp","items":[{"plaintext":"aGk="}]}`:                "base64",
		`{"key":"mcp","plaintext":"` + strings.Repeat("A", 64) + `"}`: "base64", // bytes that are text: zeros
	} {
		if out := r.must(t, "transit.encrypt", args); out["encoding"] != want {
			t.Errorf("%s: got %v, want the encoding %s told", args, out, want)
		}
	}
	out := r.must(t, "transit.encrypt", `{"key":"mcp","items":[{"plaintext":"hello"},{"plaintext":"aGk="}]}`)
	if got := fmt.Sprint(out["results"]); !strings.Contains(got, "utf-8") || !strings.Contains(got, "vault:v1:") {
		t.Errorf("one of a batch: got %s, want one told and the other done", got)
	}
}

// The hash function may be named as either of Vault's two names has it.
func TestHashFunctionHasTwoNames(t *testing.T) {
	r := newRig(t)
	a := r.must(t, "transit.hmac", `{"key":"mcp","input":"aGk=","algorithm":"sha2-512"}`)
	b := r.must(t, "transit.hmac", `{"key":"mcp","input":"aGk=","hash_algorithm":"SHA512"}`)
	if a["hmac"] != b["hmac"] {
		t.Errorf("got %v and %v, want the same", a, b)
	}
	out := r.must(t, "transit.verify", fmt.Sprintf(`{"key":"mcp","input":"aGk=","algorithm":"sha2-512","hmac":%q}`, a["hmac"]))
	if out["valid"] != true {
		t.Errorf("got %v, want it valid", out)
	}
	r.admin(t, "transit/keys/ec", `{"type":"ecdsa-p256"}`)
	r.must(t, "transit.sign", `{"key":"ec","input":"aGk=","algorithm":"sha2-512"}`)
	_, err := r.do(t.Context(), "transit.sign", `{"key":"signing","input":"aGk=","algorithm":"sha2-512","hash_algorithm":"sha2-256"}`)
	wantCode(t, err, call.InvalidRequest)
}

// A signature can be verified with the public key alone.
func TestPublicKeyVerifiesOffline(t *testing.T) {
	r := newRig(t)
	signature := fmt.Sprint(r.must(t, "transit.sign", `{"key":"signing","input":"hello","encoding":"utf-8"}`)["signature"])
	out := r.must(t, "transit.public_key", `{"key":"signing"}`)
	block, _ := pem.Decode([]byte(fmt.Sprint(out["public_key"])))
	if block == nil {
		t.Fatalf("got %v, want PEM", out)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(signature, "vault:v1:"))
	if !ed25519.Verify(key.(ed25519.PublicKey), []byte("hello"), raw) {
		t.Errorf("the signature is not that of the key %v", out)
	}
	_, err = r.do(t.Context(), "transit.public_key", `{"key":"signing","version":9}`)
	wantCode(t, err, call.NotFound)
	_, err = r.do(t.Context(), "transit.public_key", `{"key":"mcp"}`)
	if !call.Is(err, call.InvalidRequest) || !strings.Contains(err.Error(), "aes256-gcm96") {
		t.Errorf("a key without a public half: got %v, want its type told", err)
	}
	r.admin(t, "transit/keys/rsa", `{"type":"rsa-2048"}`)
	if out := r.must(t, "transit.public_key", `{"key":"rsa"}`); !strings.Contains(fmt.Sprint(out["public_key"]), "BEGIN PUBLIC KEY") {
		t.Errorf("got %v", out)
	}
}

// A life is written as Vault takes it, and one that was cut is told.
func TestSSHLives(t *testing.T) {
	r := newRig(t)
	r.admin(t, "ssh/roles/long", `{"key_type":"ca","allow_user_certificates":true,"allow_user_key_ids":true,"allowed_users":"*","max_ttl":"400h","ttl":"1h"}`)
	sign := func(ttl string, terms call.Terms) map[string]any {
		t.Helper()
		out, err := r.as(t.Context(), caller("agent"), terms, "ssh.sign", `{"role":"long","public_key":"`+opstest.PublicKey+`","valid_principals":"dev","ttl":`+ttl+`}`)
		if err != nil {
			t.Fatalf("ttl %s: %v", ttl, err)
		}
		return out
	}
	for ttl, want := range map[string]time.Duration{
		`"1d"`: 24 * time.Hour, `3600`: time.Hour, `"3600"`: time.Hour, `"90s"`: 90 * time.Second, `"1d12h"`: 36 * time.Hour, `"1.5h"`: 90 * time.Minute, `"1w"`: 168 * time.Hour,
	} {
		out := sign(ttl, call.Terms{})
		cert := certificate(t, out)
		if l := life(cert); l > want || l < want-time.Minute {
			t.Errorf("ttl %s: got a life of %v, want %v", ttl, l, want)
		}
		if out["expires"] != time.Unix(int64(cert.ValidBefore), 0).UTC().Format(time.RFC3339) || out["serial"] != fmt.Sprint(cert.Serial) || out["warnings"] != nil {
			t.Errorf("ttl %s: got %v, want its end and serial told, and no warning", ttl, out)
		}
	}
	if out := sign(`"24h"`, call.Terms{MaxTTL: time.Hour}); !strings.Contains(fmt.Sprint(out["warnings"]), "as asked") {
		t.Errorf("a life that was cut: got %v, want a warning", out)
	}
	for _, ttl := range []string{`"soon"`, `"1y"`, `"-1h"`, `"0s"`, `"99999999999999h"`, `1.5`} {
		_, err := r.do(t.Context(), "ssh.sign", `{"role":"long","public_key":"`+opstest.PublicKey+`","ttl":`+ttl+`}`)
		if !call.Is(err, call.InvalidRequest) || !strings.Contains(call.AsError(err).Msg, "argument ttl: ") {
			t.Errorf("ttl %s: got %v, want it refused by name", ttl, err)
		}
	}
}

// Which names are allowed, the role says.
func TestSSHNames(t *testing.T) {
	r := newRig(t)
	r.admin(t, "ssh/roles/any", `{"key_type":"ca","allow_user_certificates":true,"allow_host_certificates":true,"allowed_users":"*","allowed_domains":"*","allow_user_key_ids":true}`)
	for _, c := range []struct{ kind, principals, id string }{
		{"host", "*.example.com", "ticket:123"},
		{"user", `DOMAIN\jane`, "jane@example.com 2026"},
		{"user", "jane doe,köln", "CHG-1 (approved)"},
	} {
		args := fmt.Sprintf(`{"role":"any","public_key":%q,"cert_type":%q,"valid_principals":%q,"key_id":%q}`, opstest.PublicKey, c.kind, c.principals, c.id)
		cert := certificate(t, r.must(t, "ssh.sign", args))
		if strings.Join(cert.ValidPrincipals, ",") != c.principals || !strings.HasSuffix(cert.KeyId, c.id) {
			t.Errorf("%s: got %q %q", args, cert.ValidPrincipals, cert.KeyId)
		}
	}
}
