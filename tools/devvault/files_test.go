package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashicorp/vault/sdk/physical"

	devvault "portcullis/tools/devvault"
)

func TestFilesKeepWhatVaultReads(t *testing.T) {
	b := openFiles(t, t.TempDir())
	for _, key := range []string{"a", "a/b", "a/c"} {
		if err := b.Put(t.Context(), &physical.Entry{Key: key, Value: []byte("old")}); err != nil {
			t.Fatal(err)
		}
		if err := b.Put(t.Context(), &physical.Entry{Key: key, Value: []byte(key)}); err != nil {
			t.Fatal(err)
		}
		got, err := b.Get(t.Context(), key)
		if err != nil || got == nil || string(got.Value) != key {
			t.Errorf("%s: got %v, %v", key, got, err)
		}
	}
	if got, err := b.List(t.Context(), "a/"); err != nil || !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("list: got %v, %v", got, err)
	}
}

func TestFilesStayInTheirDirectory(t *testing.T) {
	b := openFiles(t, t.TempDir())
	for _, key := range []string{"../x", "a/../../x", "/x"} {
		if err := b.Put(t.Context(), &physical.Entry{Key: key, Value: []byte("x")}); err == nil {
			t.Errorf("%q was written", key)
		}
	}
}

func TestFilesForgetFragments(t *testing.T) {
	dir := t.TempDir()
	openFiles(t, dir)
	fragment := filepath.Join(dir, "temp", "123")
	if err := os.WriteFile(fragment, []byte(`{"Val`), 0o600); err != nil {
		t.Fatal(err)
	}
	b := openFiles(t, dir)
	if _, err := os.Stat(fragment); !os.IsNotExist(err) {
		t.Errorf("the fragment is still there: %v", err)
	}
	if got, err := b.List(t.Context(), ""); err != nil || len(got) > 0 {
		t.Errorf("list: got %v, %v", got, err)
	}
}

func openFiles(t *testing.T, dir string) physical.Backend {
	t.Helper()
	b, err := devvault.OpenFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
