package files_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"portcullis/gateway/files"
)

func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestNoFile: a pipe that nobody writes to is not waited for, and no empty file: a list of
// those who are refused would be without an entry. What has no end is not kept in memory.
func TestNoFile(t *testing.T) {
	for _, path := range []string{pipe(t), "/dev/zero"} {
		if text, err := files.Read(path); err == nil {
			t.Errorf("%s was read, and %d bytes are in it", path, len(text))
		}
	}
	if _, err := files.KeyPair(pipe(t), "/dev/zero"); err == nil {
		t.Error("a pipe was taken for a certificate")
	}
	if text, err := files.Read(os.DevNull); err != nil || len(text) > 0 {
		t.Errorf("%s: got %q, %v", os.DevNull, text, err)
	}
}

// TestInputOfACommand: it may come through a pipe, also late, but has an end.
func TestInputOfACommand(t *testing.T) {
	path, wrote := pipe(t), make(chan error, 1)
	go func() { wrote <- os.WriteFile(path, []byte("late"), 0) }()
	text, err := files.Input(path)
	if werr := <-wrote; string(text) != "late" || err != nil || werr != nil {
		t.Errorf("got %q, %v, %v", text, err, werr)
	}
	if _, err := files.Input("/dev/zero"); err == nil {
		t.Error("a device without an end was read")
	}
}
