package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// issuer signs the callers' tokens: with RS256, and where there are thousands of them with
// ES256, which takes a twentieth of the time to sign.
type issuer struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

var url64 = base64.RawURLEncoding

func newIssuer() (i issuer, err error) {
	var ecErr error
	i.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	i.ec, ecErr = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return i, errors.Join(err, ecErr)
}

// keys are the public keys (RFC 7517).
func (i issuer) keys() ([]byte, error) {
	point, err := i.ec.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, err
	}
	n, e := url64.EncodeToString(i.rsa.N.Bytes()), url64.EncodeToString(big.NewInt(int64(i.rsa.E)).Bytes())
	return json.Marshal(map[string]any{"keys": []any{
		map[string]string{"kty": "RSA", "kid": "RS256", "alg": "RS256", "use": "sig", "n": n, "e": e},
		map[string]string{"kty": "EC", "kid": "ES256", "alg": "ES256", "use": "sig", "crv": "P-256", "x": url64.EncodeToString(point[1:33]), "y": url64.EncodeToString(point[33:])},
	}})
}

// token is good for two hours.
func (i issuer) token(alg, subject string) (string, error) {
	now := time.Now().Unix()
	claims := fmt.Appendf(nil, `{"iss":"https://bench.test","aud":"bench","sub":%q,"roles":[%q],"iat":%d,"exp":%d,"scopes":["read","write","list","delete"]}`, subject, role, now, now+7200)
	signed := url64.EncodeToString(fmt.Appendf(nil, `{"alg":%q,"typ":"JWT","kid":%q}`, alg, alg)) + "." + url64.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	if alg == "RS256" {
		signature, err := rsa.SignPKCS1v15(rand.Reader, i.rsa, crypto.SHA256, sum[:])
		return signed + "." + url64.EncodeToString(signature), err
	}
	r, s, err := ecdsa.Sign(rand.Reader, i.ec, sum[:])
	if err != nil {
		return "", err
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + url64.EncodeToString(signature[:]), nil
}
