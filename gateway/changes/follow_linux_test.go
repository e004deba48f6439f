package changes_test

import (
	"io"
	"path/filepath"
	"syscall"
	"testing"

	"portcullis/gateway/changes"
)

// TestAPipeIsNotFollowed: it is said at once, so that changes are found in another way.
func TestAPipeIsNotFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := changes.Follow(t.Context(), path, io.Discard); err == nil {
		t.Error("a pipe was followed")
	}
}
