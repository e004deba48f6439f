package wasm_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"portcullis/gateway/transform"
	"portcullis/gateway/transform/guest"
	"portcullis/wasm"
)

func ExampleKits() {
	text, err := fs.ReadFile(wasm.Kits, "sdk/rust/lib.rs")
	fmt.Println(strings.Contains(string(text), "pub fn transform("), err)
	// Output: true <nil>
}

// TestShippedModules loads the manifest, which checks digests and runs the test
// vectors of each module.
func TestShippedModules(t *testing.T) {
	set, err := transform.Open(t.Context(), "manifest.yaml", transform.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	var got []string
	for _, m := range set.Status().Modules {
		got = append(got, m.Name)
		if !strings.HasPrefix(m.Digest, "sha256:") {
			t.Errorf("%s is %s", m.Name, m.Digest)
		}
	}
	if s := strings.Join(got, " "); s != "redact mask pii encode" {
		t.Errorf("order is %s", s)
	}
}

func TestDigests(t *testing.T) {
	text, err := fs.ReadFile(wasm.Modules, "SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		bin, err := fs.ReadFile(wasm.Modules, name)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(bin)); got != want {
			t.Errorf("%s has digest %s, SHA256SUMS says %s", name, got, want)
		}
	}
}

// TestMaskAgreesWithTheBuiltIn runs the vectors of the module mask on the native
// one: they are the same transform twice.
func TestMaskAgreesWithTheBuiltIn(t *testing.T) {
	set, err := transform.Open(t.Context(), "", transform.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	g := set.Pin()
	defer g.Release()
	vectors, err := transform.ReadVectors("mask/tests.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			p, err := g.Plan(transform.Call{Hook: guest.Response}, []transform.Obligation{{Name: "mask", Args: v.Args}})
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := p.Apply(v.Input)
			want := v.Want
			if want == nil {
				want = v.Input
			}
			if err != nil || canonical(t, got) != canonical(t, want) {
				t.Errorf("got %s, %v, want %s", got, err, want)
			}
		})
	}
}

// TestPageShowsTheExample keeps the page of the interface to a module that builds.
func TestPageShowsTheExample(t *testing.T) {
	page, err := os.ReadFile("ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example/example.c")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), string(source)) {
		t.Error("ABI.md does not show example/example.c as it is")
	}
}

func canonical(t *testing.T, text []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	out, _ := json.Marshal(v)
	return string(out)
}
