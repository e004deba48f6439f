package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// TestHangupSaysWhatItDid: the level of the logs changes at once, another setting
// needs a restart, a file with a mistake changes nothing, and the log says so.
func TestHangupSaysWhatItDid(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "portcullis.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log_level = \"info\"\n")
	root := e2e.Root(t)
	g, err := stack.StartGateway(t.Context(), stack.GatewayOptions{Root: root, Dir: dir, Env: stack.DevEnv(root, e2e.StartVault(t))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop() })
	hangup := func(text, want string) {
		t.Helper()
		write(text)
		if err := g.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		e2e.Eventually(t, want, func() bool { return strings.Contains(g.Output(), want) })
	}
	hangup("log_level = \"debug\"\nread_cache_ttl = \"1s\"\n", `"settings_applied":"LOG_LEVEL","settings_that_need_a_restart":"READ_CACHE_TTL"`)
	hangup("log_level = \"loud\"\n", "so the running one stays")
}
