package tree

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// LoadKey reads an ed25519 key (PKCS 8 in PEM). It makes one when there is no file.
func LoadKey(name string) (note.Signer, string, error) {
	raw, err := os.ReadFile(name)
	if err == nil && len(raw) == 0 { // a process was killed before it had written it
		err = os.Remove(name)
		raw, err = nil, errors.Join(err, os.ErrNotExist)
	}
	if errors.Is(err, os.ErrNotExist) {
		if err = makeKey(name); err == nil {
			raw, err = os.ReadFile(name) // another process may have been faster
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("key of the evidence: %w", err)
	}
	s, public, err := signerOf(raw)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	return s, public, nil
}

// PublicOf is the public half of the key in a file, which must be there.
func PublicOf(name string) (string, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	_, public, err := signerOf(raw)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return public, nil
}

func signerOf(raw []byte) (note.Signer, string, error) {
	key, err := parseKey(raw)
	if err != nil {
		return nil, "", err
	}
	public, err := note.NewEd25519VerifierKey(Origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, "", err
	}
	// NAME+HASH+DATA, of which the hash is the public key's (package note).
	hash := strings.SplitN(public, "+", 3)[1]
	secret := base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...))
	signer, err := note.NewSigner("PRIVATE+KEY+" + Origin + "+" + hash + "+" + secret)
	return signer, public, err
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

// Public reads a public key: a note's verifier key, as `portcullis audit key` prints
// it, or an ed25519 key in PEM.
func Public(raw []byte) (note.Verifier, error) {
	text := string(bytes.TrimSpace(raw))
	if block, _ := pem.Decode(raw); block != nil {
		k, err := x509.ParsePKIXPublicKey(block.Bytes)
		key, ok := k.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, errors.New("not an ed25519 public key")
		}
		if text, err = note.NewEd25519VerifierKey(Origin, key); err != nil {
			return nil, err
		}
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("not a public key of evidence, as `portcullis audit key` prints it: %w", err)
	}
	return v, nil
}
