package oidc

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
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
)

// key is a signing key (RFC 7517).
type key struct {
	signer crypto.Signer
	id     string // kid, made of the public key
	alg    string // RS256, ES256 or EdDSA (RFC 7518 section 3.1, RFC 8037)
}

const minRSA = 2048 // bits

// parseKeys reads private keys in PEM (PKCS #8, PKCS #1 or SEC 1): RSA, P-256 or Ed25519.
func parseKeys(text []byte) ([]key, error) {
	var keys []key
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		private, err := parsePrivate(block.Bytes)
		if err != nil {
			return nil, err
		}
		k, err := newKey(private)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no private key in PEM")
	}
	return keys, nil
}

func parsePrivate(der []byte) (any, error) {
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return k, nil
	}
	return nil, errors.New("one of its keys is in no known form")
}

func newKey(private any) (key, error) {
	var k key
	switch p := private.(type) {
	case *rsa.PrivateKey:
		if p.N.BitLen() < minRSA {
			return k, fmt.Errorf("an RSA key has less than %d bits", minRSA)
		}
		k = key{signer: p, alg: "RS256"}
	case *ecdsa.PrivateKey:
		if p.Curve != elliptic.P256() {
			return k, errors.New("an EC key is not of the curve P-256")
		}
		k = key{signer: p, alg: "ES256"}
	case ed25519.PrivateKey:
		k = key{signer: p, alg: "EdDSA"}
	default:
		return k, errors.New("a key is none of RSA, P-256 and Ed25519")
	}
	der, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	if err != nil {
		return k, err
	}
	sum := sha256.Sum256(der)
	k.id = encode(sum[:12])
	return k, nil
}

// generate makes a key for as long as the process lives.
func generate() (key, error) {
	p, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return key{}, err
	}
	return newKey(p)
}

// Make makes a key in a file that only its owner can read, unless the file is there. Of
// several processes that make it at once, one does.
func Make(file string) error {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	k, err := generate()
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".issuer-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // of which the file is another name
	err = errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), file)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// public is the key as a JWK (RFC 7517 section 4).
func (k key) public() map[string]string {
	jwk := map[string]string{"kid": k.id, "use": "sig", "alg": k.alg}
	switch p := k.signer.Public().(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", encode(p.N.Bytes()), encode(big.NewInt(int64(p.E)).Bytes())
	case *ecdsa.PublicKey:
		raw, err := p.Bytes() // uncompressed: 4, x, y
		if err != nil {
			return nil
		}
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", encode(raw[1:33]), encode(raw[33:])
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", encode(p)
	}
	return jwk
}

// pem is the public key as a PEM text.
func (k key) pem() (string, error) {
	der, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

// sign signs a text (RFC 7515 section 5.1).
func (k key) sign(text string) ([]byte, error) {
	sum := sha256.Sum256([]byte(text))
	switch p := k.signer.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, p, sum[:])
		if err != nil {
			return nil, err
		}
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return out, nil
	case ed25519.PrivateKey:
		return ed25519.Sign(p, []byte(text)), nil
	}
	return k.signer.Sign(rand.Reader, sum[:], crypto.SHA256)
}
