package house_test

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// planted is a use of call.Mint where none may be.
const planted = `package ops

import "portcullis/gateway/call"

var forge = call.Mint
`

// TestMint: no code but package policy refers to call.Mint, in whatever way, so
// that nothing reaches Vault without a decision.
func TestMint(t *testing.T) {
	if got := minters(load(t, "portcullis/...", nil)); len(got) != 1 || got[0] != "portcullis/gateway/policy" {
		t.Errorf("call.Mint is referred to by %v, want by policy alone", got)
	}
}

// TestMintShown: the rule finds a planted use.
func TestMintShown(t *testing.T) {
	file, err := filepath.Abs("../ops/planted.go")
	if err != nil {
		t.Fatal(err)
	}
	got := minters(load(t, "portcullis/gateway/ops", map[string][]byte{file: []byte(planted)}))
	if !strings.Contains(strings.Join(got, " "), "gateway/ops") {
		t.Errorf("call.Mint is referred to by %v; the planted use is not found", got)
	}
}

// minters names the packages whose code refers to call.Mint, tests excepted.
func minters(ps []*packages.Package) (names []string) {
	for _, p := range ps {
		for _, obj := range p.TypesInfo.Uses {
			if obj.Name() == "Mint" && obj.Pkg() != nil && obj.Pkg().Path() == "portcullis/gateway/call" {
				names = append(names, p.PkgPath)
				break
			}
		}
	}
	return names
}

// load type-checks packages, with the files of the overlay beside those on disk.
func load(t *testing.T, pattern string, overlay map[string][]byte) []*packages.Package {
	t.Helper()
	ps, err := packages.Load(&packages.Config{
		Context: t.Context(), Dir: root, Overlay: overlay,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes |
			packages.NeedTypesInfo | packages.NeedImports | packages.NeedExportFile,
	}, pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ps {
		for _, e := range p.Errors {
			t.Errorf("%s: %v", p.PkgPath, e)
		}
	}
	return ps
}
