package tree

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"portcullis/gateway/files"
)

// LoadKey reads an ed25519 key (PKCS 8 in PEM) and signs with it. It makes one when there
// is no file.
func LoadKey(name string) (Signer, error) {
	raw, err := files.Read(name)
	if err == nil && len(raw) == 0 { // a process was killed before it had written it
		err = os.Remove(name)
		raw, err = nil, errors.Join(err, os.ErrNotExist)
	}
	if errors.Is(err, os.ErrNotExist) {
		if err = makeKey(name); err == nil {
			raw, err = files.Read(name) // another process may have been faster
		}
	}
	if err != nil {
		return nil, fmt.Errorf("key of the evidence: %w", err)
	}
	key, err := parseKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return func(_ context.Context, text []byte) (Signature, error) {
		return Signature{Public: key.Public().(ed25519.PublicKey), Bytes: ed25519.Sign(key, text)}, nil
	}, nil
}

// PublicOf is the public half of the key in a file, which must be there.
func PublicOf(name string) (string, error) {
	raw, err := files.Read(name)
	if err != nil {
		return "", err
	}
	key, err := parseKey(raw)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return VerifierKey(key.Public().(ed25519.PublicKey))
}

var errKey = errors.New("not an ed25519 key in PEM (make one with: openssl genpkey -algorithm ed25519)")

func parseKey(raw []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errKey
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := k.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, errKey
	}
	return key, nil
}

func makeKey(name string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*") // for its owner alone
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // its content has the other name by then
	err = errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), name) // as a whole, and never over another key
	}
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}
