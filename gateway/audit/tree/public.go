package tree

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// VerifierKey is a public key as a signed note names it: NAME+HASH+KEY in base64.
func VerifierKey(key ed25519.PublicKey) (string, error) {
	return note.NewEd25519VerifierKey(Origin, key)
}

// Public reads the public keys of a file: verifier keys of notes, one a line, as
// `portcullis audit key` prints them; ed25519 keys in PEM; or a key of Vault's transit
// engine, all its versions, as `vault read -format=json MOUNT/keys/NAME` prints it. A
// checkpoint is good when one of them has signed it.
func Public(raw []byte) (note.Verifiers, error) {
	keys, err := publicKeys(bytes.TrimSpace(raw))
	if err != nil {
		return nil, err
	}
	var all []note.Verifier
	for _, key := range keys {
		v, err := note.NewVerifier(key)
		if err != nil {
			return nil, fmt.Errorf("not a public key of evidence, as `portcullis audit key` prints it: %w", err)
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		return nil, errors.New("no public key is in it")
	}
	return note.VerifierList(all...), nil
}

func publicKeys(raw []byte) (keys []string, err error) {
	switch {
	case bytes.HasPrefix(raw, []byte("{")):
		return ofTransit(raw)
	case bytes.HasPrefix(raw, []byte("-----BEGIN")):
		return ofPEM(raw)
	}
	for line := range strings.Lines(string(raw)) {
		if key := strings.TrimSpace(line); key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func ofPEM(raw []byte) (keys []string, err error) {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return nil, errors.New("it is a private key: give the public half, as `portcullis audit key` prints it, and keep the private one to the gateway")
		}
		k, err := x509.ParsePKIXPublicKey(block.Bytes)
		key, ok := k.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, errors.New("not an ed25519 public key")
		}
		text, err := VerifierKey(key)
		if err != nil {
			return nil, err
		}
		keys = append(keys, text)
	}
	return keys, nil
}

// transitKey is what Vault answers about an ed25519 key of its transit engine (Vault API,
// transit/keys): the public half of each version, in base64.
type transitKey struct {
	Data struct {
		Type string `json:"type"`
		Keys map[string]struct {
			Public []byte `json:"public_key"`
		} `json:"keys"`
	} `json:"data"`
}

var errTransit = errors.New("not an ed25519 key of Vault's transit engine, as `vault read -format=json MOUNT/keys/NAME` prints it")

func ofTransit(raw []byte) (keys []string, err error) {
	var k transitKey
	if err := json.Unmarshal(raw, &k); err != nil || k.Data.Type != "ed25519" {
		return nil, errTransit
	}
	for _, number := range slices.Sorted(maps.Keys(k.Data.Keys)) {
		public := k.Data.Keys[number].Public
		if len(public) != ed25519.PublicKeySize {
			return nil, errTransit
		}
		text, err := VerifierKey(public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, text)
	}
	return keys, nil
}
