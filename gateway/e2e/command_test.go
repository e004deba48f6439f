package e2e_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
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

// TestStdioWrongUsage: without a credential, or with an address or a credential that
// is none, there is nothing to begin.
func TestStdioWrongUsage(t *testing.T) {
	url := []string{"stdio", "--url", "http://127.0.0.1:1"}
	for want, tc := range map[string]struct{ env, args []string }{
		"api-key-file":                 {nil, url},
		"--url":                        {[]string{"PORTCULLIS_API_KEY=k"}, []string{"stdio", "--url", "nonsense"}},
		"PORTCULLIS_API_KEY: a":        {[]string{"PORTCULLIS_API_KEY=two words"}, url},
		"PORTCULLIS_API_KEY: a cred":   {[]string{"PORTCULLIS_API_KEY=two\nlines"}, url},
		"no such file":                 {nil, append(url, "--token-file", "absent")},
		"one of --api-key-file, --tok": {nil, append(url, "--token-file", "a", "--api-key-file", "b")},
	} {
		if out, code := portcullis(t, tc.env, tc.args...); code != 2 || !strings.Contains(out, want) || strings.Contains(out, "two") {
			t.Errorf("%q: exit code %d, want 2 and %s in\n%s", tc.args, code, want, out)
		}
	}
}

// TestStdioSaysWhatIsWrong: to the client, and to whoever reads stderr, which ends in
// exit code 1 when no message could be carried; a redirect is not followed.
func TestStdioSaysWhatIsWrong(t *testing.T) {
	g := e2e.StartGateway(t, e2e.StartVault(t))
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the credential went elsewhere: %v", r.Header)
	}))
	defer elsewhere.Close()
	redirects := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer redirects.Close()
	inProcess := []string{"VAULT_ADDR=http://127.0.0.1:1", "VAULT_TOKEN=t", "LOG_DIR=logs", `API_KEYS_JSON={"dev-api-key":"agent_api"}`}
	for name, tc := range map[string]struct {
		env  []string
		args []string
		want string // in the answer and on stderr
		code int
	}{
		"fine":               {[]string{"PORTCULLIS_API_KEY=" + e2e.Key}, []string{"--url", g.URL}, "", 0},
		"the whole address":  {[]string{"PORTCULLIS_API_KEY=" + e2e.Key}, []string{"--url", g.URL + "/mcp"}, "", 0},
		"bad key":            {[]string{"PORTCULLIS_API_KEY=wrong"}, []string{"--url", g.URL}, "from PORTCULLIS_API_KEY (401 unauthenticated)", 1},
		"away":               {[]string{"PORTCULLIS_API_KEY=k"}, []string{"--url", "http://127.0.0.1:1"}, "connection refused", 1},
		"redirects":          {[]string{"PORTCULLIS_API_KEY=k"}, []string{"--url", redirects.URL}, "give the gateway's own address", 1},
		"bad key, here":      {append(inProcess, "PORTCULLIS_API_KEY=wrong"), nil, "from PORTCULLIS_API_KEY (unauthenticated)", 1},
		"in process, a good": {append(inProcess, "PORTCULLIS_API_KEY="+e2e.Key), nil, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, code := stdio(t, tc.env, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, tc.args...)
			if code != tc.code || !strings.Contains(out, tc.want) || strings.Count(errs, tc.want) != 1 && tc.want != "" {
				t.Errorf("exit code %d, want %d and %q in\n%s\nand once in\n%s", code, tc.code, tc.want, out, errs)
			}
			if tc.code == 0 && out != `{"jsonrpc":"2.0","id":1,"result":{}}`+"\n" {
				t.Errorf("got %s", out)
			}
		})
	}
}

// stdio runs portcullis stdio with lines on its stdin until it ends.
func stdio(t *testing.T, env []string, lines string, args ...string) (out, errs string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(e2e.Root(t), "bin", "portcullis"), append([]string{"stdio"}, args...)...)
	var stdout, stderr strings.Builder
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = t.TempDir(), env, strings.NewReader(lines+"\n"), &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
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
	out, code := portcullis(t, []string{"VAULT_TOKEN=x", "LOG_DIR=logs", "VAULT_ADDR=http://127.0.0.1:1"}, "config", "check")
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
