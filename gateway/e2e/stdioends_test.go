package e2e_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"portcullis/gateway/e2e"
)

// TestStdioEnds: on a signal, and when nobody reads its answers any more, although the
// read of stdin waits for a line that never comes.
func TestStdioEnds(t *testing.T) {
	v := e2e.StartVault(t)
	g := e2e.StartGateway(t, v)
	for name, tc := range map[string]struct {
		env  []string
		args []string
	}{
		"remote":     {[]string{"PORTCULLIS_API_KEY=" + e2e.Key}, []string{"--url", g.URL}},
		"in process": {[]string{"VAULT_ADDR=" + v.Addr, "VAULT_TOKEN=" + v.Token, "LOG_DIR=logs", `API_KEYS_JSON={"dev-api-key":"agent_api"}`, "PORTCULLIS_API_KEY=" + e2e.Key}, nil},
	} {
		for how, end := range map[string]func(*testing.T, *exec.Cmd, io.WriteCloser, *os.File){
			"SIGTERM": func(t *testing.T, c *exec.Cmd, _ io.WriteCloser, _ *os.File) { signal(t, c, syscall.SIGTERM) },
			"SIGINT":  func(t *testing.T, c *exec.Cmd, _ io.WriteCloser, _ *os.File) { signal(t, c, syscall.SIGINT) },
			"closed pipe": func(t *testing.T, _ *exec.Cmd, in io.WriteCloser, out *os.File) {
				_ = out.Close()
				if _, err := io.WriteString(in, ping); err != nil {
					t.Error(err)
				}
			},
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				cmd := exec.CommandContext(t.Context(), filepath.Join(e2e.Root(t), "bin", "portcullis"), append([]string{"stdio"}, tc.args...)...)
				cmd.Dir, cmd.Env = t.TempDir(), tc.env
				in, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = in.Close() }()
				out, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = out.Close() }()
				cmd.Stdout = w
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				_ = w.Close()
				if _, err := io.WriteString(in, ping); err != nil {
					t.Fatal(err)
				}
				if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.Contains(line, `"result":{}`) {
					t.Fatalf("got %q %v", line, err)
				}
				end(t, cmd, in, out)
				if err := cmd.Wait(); err != nil {
					t.Errorf("it ended with %v", err)
				}
			})
		}
	}
}

const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}` + "\n"

func signal(t *testing.T, c *exec.Cmd, s syscall.Signal) {
	t.Helper()
	if err := c.Process.Signal(s); err != nil {
		t.Error(err)
	}
}
