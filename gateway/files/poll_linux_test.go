package files_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"portcullis/gateway/files"
)

// TestAPipeInThePlaceOfAFile: what looks at many files in turn does not wait for one that
// nobody writes to.
func TestAPipeInThePlaceOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := files.New(path).Poll(func(text []byte) error {
		if len(text) == 0 {
			return errors.New("nothing in it")
		}
		return nil
	})
	if err == nil {
		t.Error("a pipe without a writer was loaded")
	}
}
