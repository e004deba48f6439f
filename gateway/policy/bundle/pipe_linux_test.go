package bundle_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"portcullis/gateway/policy/bundle"
)

// TestAPipeInADirectory: no reading of a policy waits for one, whatever its name.
func TestAPipeInADirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte("team: {t: {a: 1}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Read(dir, nil); err != nil {
		t.Error(err)
	}
}
