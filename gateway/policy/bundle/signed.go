package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	opa "github.com/open-policy-agent/opa/v1/bundle"

	"portcullis/gateway/files"
)

// Keys are the public keys that a signed archive may be signed with, by key id.
type Keys map[string]Key

// Key is a public key in PEM and the one algorithm it is used with.
type Key struct{ PEM, Algorithm string }

// algorithms are the signatures that are taken: asymmetric ones, so that who can
// check a policy cannot sign one.
func algorithms() []string { return []string{"ES256", "EdDSA", "RS256"} }

// roots are the parts of data that an archive may own. Package gateway is not
// among them.
func roots() []string {
	return []string{"policy", "grants", "tenants", "tiers", "obligations", "masks", "version", "zone", "teams", "unmasked", "team"}
}

// Signed reports whether a path is an archive's, which must be signed.
func Signed(path string) bool { return strings.HasSuffix(path, ".tar.gz") }

// readSigned reads an OPA bundle. It must be signed by one of the keys, under the
// key's id and with its algorithm, be whole, say what it owns, and have a revision.
func readSigned(path string, keys Keys) (*Bundle, error) {
	if len(keys) == 0 {
		return nil, errNoKey
	}
	raw, err := files.Read(path)
	if err != nil {
		return nil, err
	}
	return unseal(raw, keys)
}

var errNoKey = errors.New("a signed archive needs the key that verifies it: give its id and file (--key-id and --key-file, or POLICY_KEY_ID and POLICY_KEY_FILE)")

// Archive reads a signed archive that came from a place that is no file.
func Archive(raw []byte, place string, keys Keys) (*Bundle, error) {
	b, err := unseal(raw, keys)
	if err != nil {
		return nil, err
	}
	b.Place = place
	b.Rules, b.Tests = slices.DeleteFunc(b.Rules, embedded), slices.DeleteFunc(b.Tests, embedded)
	return b, nil
}

func unseal(raw []byte, keys Keys) (*Bundle, error) {
	switch {
	case len(keys) == 0:
		return nil, errNoKey
	case len(raw) > MaxFile:
		return nil, fmt.Errorf("larger than %d bytes", MaxFile)
	}
	if err := unpackable(raw); err != nil {
		return nil, err
	}
	var problems []error
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		b, err := verify(raw, id, keys[id])
		if err == nil {
			return unpack(b)
		}
		problems = append(problems, fmt.Errorf("key %s: %w", id, err))
	}
	return nil, errors.Join(problems...)
}

// unpackable looks at what is packed without keeping it. Reading an archive takes all of it
// into memory before a signature is looked at, and whoever can put one where it is fetched
// has no key.
func unpackable(raw []byte) error {
	unpacked, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("not an archive: %w", err)
	}
	bounded := &io.LimitedReader{R: unpacked, N: maxArchive}
	in := tar.NewReader(bounded)
	left := int64(maxArchive) // of what files say of their sizes: holes are not packed
	for n := 0; ; n++ {
		head, err := in.Next()
		switch {
		case bounded.N <= 0:
			return fmt.Errorf("more than %d bytes are packed in it", maxArchive)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("not an archive: %w", err)
		case head.Size > MaxFile || n == 2*MaxFiles: // tests and data beside the rules
			return fmt.Errorf("a file is larger than %d bytes, or there are more than %d files", MaxFile, 2*MaxFiles)
		}
		if left -= head.Size; left < 0 {
			return fmt.Errorf("more than %d bytes are packed in it", maxArchive)
		}
	}
}

// verify reads an archive whose signature must be by one key.
func verify(raw []byte, id string, k Key) (opa.Bundle, error) {
	if !slices.Contains(algorithms(), k.Algorithm) {
		return opa.Bundle{}, fmt.Errorf("the algorithm must be one of %v", algorithms())
	}
	vc := opa.NewVerificationConfig(map[string]*opa.KeyConfig{id: {Key: k.PEM, Algorithm: k.Algorithm}}, id, "", nil)
	b, err := opa.NewReader(bytes.NewReader(raw)).
		WithBundleVerificationConfig(vc).WithSizeLimitBytes(MaxFile).
		WithRegoVersion(ast.RegoV1).WithProcessAnnotations(true).Read()
	switch {
	case err != nil:
		return b, err
	case len(b.Signatures.Signatures) == 0:
		return b, errors.New("not signed")
	case b.Type() != opa.SnapshotBundleType:
		return b, errors.New("a delta archive is not taken")
	case !slices.ContainsFunc(b.Signatures.Signatures, func(t string) bool { return signedAs(t, id) }):
		return b, errors.New("signed under another key id")
	}
	return b, nil
}

// signedAs reports whether a token, whose signature has been verified, names the
// key id in its header (RFC 7515 section 4.1.4) or, as older archives do, among its
// claims.
func signedAs(token, id string) bool {
	parts := strings.Split(token, ".")
	for _, part := range parts[:min(2, len(parts))] {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		var named struct {
			Kid   string `json:"kid"`
			KeyID string `json:"keyid"`
		}
		if err == nil && json.Unmarshal(raw, &named) == nil && (named.Kid == id || named.KeyID == id) {
			return true
		}
	}
	return false
}

// unpack checks the manifest and makes a bundle.
func unpack(o opa.Bundle) (*Bundle, error) {
	m := o.Manifest
	if m.Revision == "" || m.Roots == nil {
		return nil, errors.New("the manifest needs revision and roots")
	}
	for _, r := range *m.Roots {
		first, _, _ := strings.Cut(strings.Trim(r, "/"), "/")
		if !slices.Contains(roots(), first) {
			return nil, fmt.Errorf("the manifest's root %q is not one of %v", r, roots())
		}
	}
	seq, err := sequence(m.Metadata["sequence"])
	if err != nil {
		return nil, err
	}
	b := &Bundle{Sequence: seq}
	for _, f := range o.Modules {
		if err := b.add(File{strings.TrimPrefix(f.Path, "/"), f.Raw}); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(o.Data)
	if err != nil {
		return nil, err
	}
	b.DataFile = File{"data.json", text}
	return b, b.finish()
}

func sequence(v any) (int64, error) {
	n, ok := v.(json.Number)
	if f, isFloat := v.(float64); isFloat {
		n, ok = json.Number(fmt.Sprintf("%.0f", f)), true
	}
	if !ok {
		return 0, errors.New("the manifest needs metadata.sequence, a number that grows with every archive")
	}
	return n.Int64()
}

// Sign makes a signed archive of a bundle. privateKey is PEM.
func Sign(b *Bundle, sequence int64, id string, privateKey Key) ([]byte, error) {
	if !slices.Contains(algorithms(), privateKey.Algorithm) {
		return nil, fmt.Errorf("the algorithm must be one of %v", algorithms())
	}
	o, err := pack(b, sequence)
	if err != nil {
		return nil, err
	}
	if err := o.GenerateSignature(opa.NewSigningConfig(privateKey.PEM, privateKey.Algorithm, ""), id, false); err != nil {
		return nil, fmt.Errorf("sign the policy: %w", err)
	}
	var buf bytes.Buffer
	if err := opa.NewWriter(&buf).DisableFormat(true).Write(o); err != nil {
		return nil, fmt.Errorf("write the archive: %w", err)
	}
	return buf.Bytes(), nil
}

func pack(b *Bundle, sequence int64) (opa.Bundle, error) {
	own := roots()
	o := opa.Bundle{
		Manifest: opa.Manifest{
			Revision: Revision(b), Roots: &own, Metadata: map[string]any{"sequence": json.Number(fmt.Sprint(sequence))},
		},
		Data: b.Data,
	}
	for _, f := range slices.Concat(b.Rules, b.Tests) {
		m, err := ast.ParseModuleWithOpts(f.Name, string(f.Text), ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1})
		if err != nil {
			return o, err
		}
		o.Modules = append(o.Modules, opa.ModuleFile{URL: "/" + f.Name, Path: "/" + f.Name, Raw: f.Text, Parsed: m})
	}
	o.Manifest.SetRegoVersion(ast.RegoV1)
	return o, nil
}
