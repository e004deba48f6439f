package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	opa "github.com/open-policy-agent/opa/v1/bundle"

	"portcullis/gateway/policy/bundle"
)

const good = "../../../fixtures/policy-good"

func read(t *testing.T, path string, keys bundle.Keys) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Read(path, keys)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pair makes a key pair in PEM.
func pair(t *testing.T, private crypto.Signer) (priv, pub string) {
	t.Helper()
	p, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	q, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return text("PRIVATE KEY", p), text("PUBLIC KEY", q)
}

func ecKey(t *testing.T) (priv, pub string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pair(t, k)
}

func edKey(t *testing.T) (priv, pub string) {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pair(t, k)
}

// archive writes a file and returns its path.
func archive(t *testing.T, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.tar.gz")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSignedArchives(t *testing.T) {
	for _, k := range []struct {
		alg  string
		make func(*testing.T) (string, string)
	}{{"ES256", ecKey}, {"EdDSA", edKey}} {
		t.Run(k.alg, func(t *testing.T) {
			b := read(t, good, nil)
			priv, pub := k.make(t)
			raw, err := bundle.Sign(b, 7, "k1", bundle.Key{PEM: priv, Algorithm: k.alg})
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, archive(t, raw), bundle.Keys{"old": {PEM: pub, Algorithm: "RS256"}, "k1": {PEM: pub, Algorithm: k.alg}})
			if got.Sequence != 7 || len(got.Rules) != len(b.Rules) || len(got.Tests) != len(b.Tests) {
				t.Errorf("got sequence %d, %d rules, %d tests", got.Sequence, len(got.Rules), len(got.Tests))
			}
			if bundle.Revision(got) != bundle.Revision(b) {
				t.Error("packing changed rules or data")
			}
		})
	}
}

// rewrite changes the files of an archive.
func rewrite(t *testing.T, raw []byte, change func(name string, text []byte) (string, []byte)) []byte {
	t.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tr, tw := tar.NewReader(zr), tar.NewWriter(zw)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		name, text := change(h.Name, text)
		if name == "" {
			continue
		}
		h.Name, h.Size = name, int64(len(text))
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []io.Closer{tw, zw} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return buf.Bytes()
}

func TestArchivesThatAreRefused(t *testing.T) {
	priv, pub := ecKey(t)
	_, otherPub := ecKey(t)
	raw, err := bundle.Sign(read(t, good, nil), 1, "k1", bundle.Key{PEM: priv, Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	keys := bundle.Keys{"k1": {PEM: pub, Algorithm: "ES256"}}
	same := func(name string, text []byte) (string, []byte) { return name, text }
	tests := []struct {
		name   string
		keys   bundle.Keys
		change func(string, []byte) (string, []byte)
	}{
		{"no key", nil, same},
		{"another key", bundle.Keys{"k1": {PEM: otherPub, Algorithm: "ES256"}}, same},
		{"another key id", bundle.Keys{"k2": {PEM: pub, Algorithm: "ES256"}}, same},
		{"another algorithm", bundle.Keys{"k1": {PEM: pub, Algorithm: "RS256"}}, same},
		{"a symmetric algorithm", bundle.Keys{"k1": {PEM: pub, Algorithm: "HS256"}}, same},
		{"no signature", keys, func(name string, text []byte) (string, []byte) {
			if strings.Contains(name, "signatures") {
				return "", nil
			}
			return name, text
		}},
		{"a changed rule", keys, func(name string, text []byte) (string, []byte) {
			return name, bytes.ReplaceAll(text, []byte("hour_utc < 5"), []byte("hour_utc < 9"))
		}},
		{"a removed rule", keys, func(name string, text []byte) (string, []byte) {
			if strings.HasSuffix(name, "payments.rego") {
				return "", nil
			}
			return name, text
		}},
		{"a delta", keys, func(name string, text []byte) (string, []byte) {
			if strings.HasSuffix(name, "data.json") {
				return "/patch.json", []byte(`{"data":[{"op":"remove","path":"/grants"}]}`)
			}
			return name, text
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := bundle.Read(archive(t, rewrite(t, raw, tt.change)), tt.keys); err == nil {
				t.Error("taken")
			}
		})
	}
	if _, err := bundle.Read(archive(t, rewrite(t, raw, same)), keys); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

func TestOnlyBundleFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.rego": "package a", "a_test.rego": "package a_test", "sub/b.rego": "package b", "data.yaml": "x: 1",
		"schema/data.json": "{}", "values.json": "{}", ".git/c.rego": "package c", "notes.txt": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := read(t, dir, nil)
	if got := fmt.Sprintln(len(b.Rules), b.Rules[0].Name, b.Rules[1].Name, len(b.Tests), b.Data); got != "2 a.rego sub/b.rego 1 map[x:1]\n" {
		t.Errorf("got %s", got)
	}
	if fmt.Sprint(b.Unread) != "[values.json]" {
		t.Errorf("unread: got %v", b.Unread)
	}
	if one := read(t, filepath.Join(dir, "a.rego"), nil); len(one.Rules) != 1 {
		t.Errorf("a file: got %d rules", len(one.Rules))
	}
	if _, err := bundle.Read(filepath.Join(dir, "notes.txt"), nil); err == nil {
		t.Error("a text is taken for a policy")
	}
}

// What would be left out, or wait for ever, is refused by file and line.
// deep is data that lie in each other by aliases, all in the first line.
func deep(n int) string {
	parts := []string{"a0: &a0 {}"}
	for i := range n {
		parts = append(parts, fmt.Sprintf("a%d: &a%d {a: *a%d }", i+1, i+1, i))
	}
	return "{" + strings.Join(parts, ", ") + "}\n"
}

func TestFilesThatAreRefused(t *testing.T) {
	file := func(name, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := func(to, name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	outside := t.TempDir()
	for _, tt := range []struct {
		name, want string // file:line
		make       func(t *testing.T, dir string)
	}{
		{"a key twice", "data.yaml:2", file("data.yaml", "team: {}\nteam: {}\n")},
		{"a second document", "data.yaml:2", file("data.yaml", "team: {}\n---\ngrants: {}\n")},
		{"a second JSON document", "data.json:1", file("data.json", "{} {}")},
		{"no object", "data.yaml:1", file("data.yaml", "- a\n")},
		{"no number", "data.yaml:1", file("data.yaml", "team: {t: {x: .nan}}\n")},
		{"an alias in what it stands for", "data.yaml:1", file("data.yaml", "team: &a {b: *a}\n")},
		{"an alias merged into what it stands for", "data.yaml:1", file("data.yaml", "team: &a {<<: *a}\n")},
		{"deep data", "data.yaml:1", file("data.yaml", "team: "+strings.Repeat("[", 1200)+strings.Repeat("]", 1200)+"\n")},
		{"deep aliases", "data.yaml:1", file("data.yaml", deep(1200))},
		{"data in a directory", "sub/data.yaml:1", file("sub/data.yaml", "team: {}\n")},
		{"a link to a file elsewhere", "x.rego:1", link("/etc/passwd", "x.rego")},
		{"a link to a directory", "sub:1", link(".", "sub")},
		{"a link to a directory elsewhere", "sub:1", link(outside, "sub")},
		{"a pipe", "x.rego:1", func(t *testing.T, dir string) {
			if err := syscall.Mkfifo(filepath.Join(dir, "x.rego"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.make(t, dir)
			_, err := bundle.Read(dir, nil)
			f, ok := errors.AsType[*bundle.Fault](err)
			if !ok || fmt.Sprintf("%s:%d", f.Name, f.Line) != dir+"/"+tt.want || f.Msg == "" || f.Cure == "" {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// Whoever starts from a copy of the default policy overrides nothing with it. The
// recipes beside it are directories of their own.
func TestACopyOfTheDefaultPolicyAddsNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../../policies")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "cookbook")); err != nil {
		t.Fatal(err)
	}
	if b := read(t, dir, nil); len(b.Rules)+len(b.Tests) > 0 {
		t.Errorf("got %v, %v", b.Rules, b.Tests)
	}
}

// A mounted ConfigMap is links to a directory of links.
func TestAConfigMapIsRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "..2026_01_01"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "..2026_01_01", "a.rego"), []byte("package a"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"..data": "..2026_01_01", "a.rego": "..data/a.rego"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if b := read(t, dir, nil); len(b.Rules) != 1 || b.Rules[0].Name != "a.rego" {
		t.Errorf("got %+v", b.Rules)
	}
}

// Somebody who holds a good key, and another way to make archives, is still held to
// what an archive may own.
func TestManifestsThatAreRefused(t *testing.T) {
	priv, pub := ecKey(t)
	sequence := map[string]any{"sequence": json.Number("1")}
	for name, tt := range map[string]struct {
		manifest opa.Manifest
		want     string // in the error; empty for none
	}{
		"ours":            {opa.Manifest{Revision: "r", Roots: &[]string{"policy", "team"}, Metadata: sequence}, ""},
		"part of ours":    {opa.Manifest{Revision: "r", Roots: &[]string{"policy/deny/payments"}, Metadata: sequence}, ""},
		"the gateway":     {opa.Manifest{Revision: "r", Roots: &[]string{"policy", "gateway"}, Metadata: sequence}, `"gateway"`},
		"everything":      {opa.Manifest{Revision: "r", Roots: &[]string{""}, Metadata: sequence}, "is not one of"},
		"no roots":        {opa.Manifest{Revision: "r", Metadata: sequence}, "is not one of"},
		"no revision":     {opa.Manifest{Roots: &[]string{"policy"}, Metadata: sequence}, "revision"},
		"no sequence":     {opa.Manifest{Revision: "r", Roots: &[]string{"policy"}}, "sequence"},
		"half a sequence": {opa.Manifest{Revision: "r", Roots: &[]string{"policy"}, Metadata: map[string]any{"sequence": "1"}}, "sequence"},
	} {
		t.Run(name, func(t *testing.T) {
			o := opa.Bundle{Manifest: tt.manifest, Data: map[string]any{}}
			if err := o.GenerateSignature(opa.NewSigningConfig(priv, "ES256", ""), "k1", false); err != nil {
				t.Fatal(err)
			}
			var buf bytes.Buffer
			if err := opa.NewWriter(&buf).DisableFormat(true).Write(o); err != nil {
				t.Fatal(err)
			}
			_, err := bundle.Read(archive(t, buf.Bytes()), bundle.Keys{"k1": {PEM: pub, Algorithm: "ES256"}})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRevisionsTellRulesFromData(t *testing.T) {
	a := &bundle.Bundle{Rules: []bundle.File{{Name: "a.rego", Text: []byte("package a")}}, Data: map[string]any{"x": 1.0}}
	b := &bundle.Bundle{Rules: a.Rules, Data: map[string]any{"x": 2.0}}
	ra, rb := strings.Split(bundle.Revision(a), "."), strings.Split(bundle.Revision(b), ".")
	if ra[0] != rb[0] || ra[1] == rb[1] {
		t.Errorf("got %v and %v", ra, rb)
	}
}

func TestSaveAndLoad(t *testing.T) {
	b := read(t, good, nil)
	path := filepath.Join(t.TempDir(), "last-good.json")
	if err := bundle.Save(path, b); err != nil {
		t.Fatal(err)
	}
	got, err := bundle.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if bundle.Digest(got) != bundle.Digest(b) || bundle.Revision(got) != bundle.Revision(b) {
		t.Error("what is loaded is not what was saved")
	}
}

func ExampleMerge() {
	low := &bundle.Bundle{Data: map[string]any{"tiers": map[string]any{"standard": 1, "gold": 2}}}
	high := &bundle.Bundle{Data: map[string]any{"tiers": map[string]any{"gold": 3}, "grants": map[string]any{"subjects": nil}}}
	fmt.Println(bundle.Merge(low, high))
	// Output: map[tenants:map[:map[subjects:<nil>]] tiers:map[gold:3 standard:1]]
}
