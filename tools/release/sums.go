package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	sumsFile       = "SHA256SUMS"
	provenanceFile = "provenance.intoto.json"
)

// digests are the SHA-256 of every file of the release, by name.
func digests(o options) (names []string, sums map[string]string, err error) {
	files, err := os.ReadDir(o.out)
	if err != nil {
		return nil, nil, err
	}
	sums = map[string]string{}
	for _, f := range files {
		if f.IsDir() || strings.HasPrefix(f.Name(), sumsFile) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(o.out, f.Name()))
		if err != nil {
			return nil, nil, err
		}
		sum := sha256.Sum256(b)
		names, sums[f.Name()] = append(names, f.Name()), hex.EncodeToString(sum[:])
	}
	return names, sums, nil
}

// checksums writes SHA256SUMS, which sha256sum -c reads, and with a key SHA256SUMS.sig:
// the ed25519 signature of its bytes, in base64.
func checksums(o options, _ []program) error {
	names, sums, err := digests(o)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, n := range names {
		fmt.Fprintf(&b, "%s  %s\n", sums[n], n)
	}
	if err := os.WriteFile(filepath.Join(o.out, sumsFile), b.Bytes(), 0o644); err != nil {
		return err
	}
	if o.signKey == "" {
		return nil
	}
	key, err := readKey(o.signKey)
	if err != nil {
		return fmt.Errorf("--sign-key: %w", err)
	}
	sig := base64.StdEncoding.EncodeToString(ed25519.Sign(key, b.Bytes())) + "\n"
	return os.WriteFile(filepath.Join(o.out, sumsFile+".sig"), []byte(sig), 0o644)
}

func readKey(file string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("not PEM")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("an ed25519 key is wanted, not %T", k)
	}
	return key, nil
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// provenance writes an in-toto statement (slsa.dev/provenance/v1): what was built, from
// which commit, by which command.
func provenance(o options, programs []program) error {
	names, sums, err := digests(o)
	if err != nil {
		return err
	}
	var subjects []subject
	for _, n := range names {
		if n != provenanceFile {
			subjects = append(subjects, subject{n, map[string]string{"sha256": sums[n]}})
		}
	}
	var archs []string
	for _, p := range programs {
		archs = append(archs, p.arch)
	}
	b, err := json.MarshalIndent(map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicateType": "https://slsa.dev/provenance/v1",
		"predicate": map[string]any{
			"buildDefinition": map[string]any{
				"buildType":            "make release",
				"externalParameters":   map[string]any{"version": o.version, "architectures": archs, "sourceDateEpoch": o.time.Unix()},
				"resolvedDependencies": []any{map[string]any{"name": "source", "digest": map[string]string{"gitCommit": o.commit}}},
				"internalParameters":   map[string]any{"go": runtime.Version()},
			},
			"runDetails": map[string]any{"builder": map[string]string{"id": "tools/release"}, "metadata": map[string]string{"finishedOn": o.time.Format(time.RFC3339)}},
		},
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.out, provenanceFile), append(b, '\n'), 0o644)
}
