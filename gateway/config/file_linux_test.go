package config_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAPipeIsNoConfiguration: whoever starts the gateway or checks its configuration is told
// so, and does not wait.
func TestAPipeIsNoConfiguration(t *testing.T) {
	base(t)
	name := filepath.Join(t.TempDir(), "portcullis.toml")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(name); err == nil || !strings.Contains(err.Error(), "a pipe that nobody writes to") {
		t.Errorf("got %v", err)
	}
}
