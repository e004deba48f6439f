package e2e_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
)

// portcullis runs the built gateway with an environment of its own and returns
// what it wrote and its exit code.
func portcullis(t *testing.T, env []string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(e2e.Root(t), "bin", "portcullis"), args...)
	cmd.Dir, cmd.Env = t.TempDir(), env
	if env == nil {
		cmd.Env = []string{}
	}
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out), 0
}

var commandRE = regexp.MustCompile(`(?m)^  ([a-z][a-z-]*(?: [a-z][a-z-]*)*)(?: [<\[-].*)?$`)

// TestEveryHelpShowsAnExample: also that of a command that takes part in none yet.
func TestEveryHelpShowsAnExample(t *testing.T) {
	help, code := portcullis(t, nil, "--help")
	_, list, found := strings.Cut(help, "Commands:")
	commands := commandRE.FindAllStringSubmatch(list, -1)
	if code != 0 || !found || len(commands) < 4 || !strings.Contains(help, "Examples:") {
		t.Fatalf("exit code %d, %d commands in\n%s", code, len(commands), help)
	}
	for _, c := range commands {
		help, code := portcullis(t, nil, append(strings.Fields(c[1]), "--help")...)
		if _, ex, _ := strings.Cut(help, "Examples:"); code != 0 || !strings.Contains(ex, "portcullis "+c[1]) {
			t.Errorf("%s --help: exit code %d, no example of it in\n%s", c[1], code, help)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"no-such-command"}, {"serve", "--no-such-flag"}, {"smoke"}} {
		if out, code := portcullis(t, nil, args...); code != 2 || !strings.Contains(out, "--help") && len(args) > 0 && args[0] != "smoke" {
			t.Errorf("%q: exit code %d, want 2 and a way to help\n%s", args, code, out)
		}
	}
}

// TestStdioWrongUsage: without a credential, or with an address that is none, there
// is nothing to begin.
func TestStdioWrongUsage(t *testing.T) {
	for want, args := range map[string][]string{"api-key-file": {"stdio", "--url", "http://127.0.0.1:1"}, "--url": {"stdio", "--url", "nonsense"}} {
		env := []string{"PORTCULLIS_API_KEY=k"}
		if want == "api-key-file" {
			env = nil
		}
		if out, code := portcullis(t, env, args...); code != 2 || !strings.Contains(out, want) {
			t.Errorf("%q: exit code %d, want 2 and %s in\n%s", args, code, want, out)
		}
	}
}

// TestEveryProblemAtOnce: who corrects a configuration sees all that is wrong with
// it, and serve refuses what config check refuses.
func TestEveryProblemAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.toml")
	if err := os.WriteFile(file, []byte("no_such_key = 1\nlog_level = \"loud\"\nrate_limit_requests = -1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"config", "check"}, {"serve"}} {
		out, code := portcullis(t, []string{"PORT=http", "VAULT_ADDR=nowhere"}, append(command, "--config", file)...)
		if code != 2 {
			t.Errorf("%v: exit code %d, want 2", command, code)
		}
		for _, want := range []string{"no_such_key", "LOG_LEVEL", "RATE_LIMIT_REQUESTS", "PORT", "VAULT_ADDR", "VAULT_TOKEN"} {
			if !strings.Contains(out, want) {
				t.Errorf("%v: %s is missing in\n%s", command, want, out)
			}
		}
	}
}

func TestConfigCheckAccepts(t *testing.T) {
	out, code := portcullis(t, []string{"VAULT_TOKEN=x", "LOG_DIR=logs"}, "config", "check")
	if code != 0 || !strings.Contains(out, "fine") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestSmoke(t *testing.T) {
	g := e2e.StartGateway(t, e2e.StartVault(t))
	if out, code := portcullis(t, nil, "smoke", "--url", g.URL, "--api-key", e2e.Key); code != 0 || !strings.Contains(out, "all passed") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code := portcullis(t, nil, "smoke", "--url", g.URL, "--api-key", "wrong"); code != 1 || strings.Contains(out, "all passed") {
		t.Errorf("with a wrong key: exit code %d\n%s", code, out)
	}
}

// shell runs a line as a person would paste it.
func shell(ctx context.Context, dir, line string, env ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", line)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
