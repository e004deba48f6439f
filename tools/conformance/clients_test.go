package conformance_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/gateway/e2e/stack"
)

// installed is where install.sh has put Node and the clients.
var installed = sync.OnceValues(func() (string, error) {
	var errs bytes.Buffer
	c := exec.Command("./install.sh")
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		return "", &exec.Error{Name: "install.sh " + errs.String(), Err: err}
	}
	return strings.TrimSpace(string(out)), nil
})

// newVault builds what is tested and starts a dev Vault.
func newVault(t testing.TB) (root string, v *stack.Vault) {
	t.Helper()
	root, err := stack.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err = stack.StartVault(t.Context(), root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Stop() })
	return root, v
}

// newGateway starts a dev Vault and the built gateway in front of it.
func newGateway(t testing.TB, env ...string) (*stack.Gateway, *stack.Vault) {
	t.Helper()
	root, v := newVault(t)
	env = slices.Concat(stack.DevEnv(root, v), []string{"RATE_LIMIT_REQUESTS=100000"}, env)
	g, err := stack.StartGateway(t.Context(), stack.GatewayOptions{Root: root, Dir: t.TempDir(), Env: env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop() })
	return g, v
}

// command is a program of the clients.
func command(ctx context.Context, t *testing.T, args []string) *exec.Cmd {
	t.Helper()
	dir, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "node_modules", "node", "bin")
	if !filepath.IsAbs(args[0]) {
		args = append([]string{filepath.Join(dir, args[0])}, args[1:]...)
	}
	c := exec.CommandContext(ctx, filepath.Join(bin, "node"), args...)
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "PATH="+bin+":"+os.Getenv("PATH"))
	return c
}

// node runs a program of the clients and returns what it prints.
func node(t *testing.T, args ...string) []byte {
	t.Helper()
	return nodeIn(t, "", args)
}

// nodeIn runs a program in a directory, where it is; in none it is one of the clients.
func nodeIn(t *testing.T, dir string, args []string) []byte {
	t.Helper()
	ctx, stop := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	defer stop()
	if dir != "" {
		args = append([]string{filepath.Join(dir, args[0])}, args[1:]...)
	}
	c := command(ctx, t, args)
	var stderr bytes.Buffer
	c.Dir, c.Stderr = dir, &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out, stderr.String())
	}
	return out
}

// seen is what the TypeScript programs report.
type seen struct {
	Tools    []string
	Version  int
	Progress []float64
	Update   string
	Read     map[string]string
	Refused  string
	Unknown  int
	Prompts  int
	Less     []struct { // masked and wrapped answers
		Data     map[string]any
		WrapInfo struct{ Token string } `json:"wrap_info"`
	}
	Completed []string
}

func (s seen) check(t *testing.T, uri string) {
	t.Helper()
	if !slices.Contains(s.Tools, "kv_read") || s.Version != 1 || s.Read["k"] != "v" || s.Refused != "not_found" {
		t.Errorf("got %+v", s)
	}
	for i, less := range s.Less {
		// a read and a write, which answers without the secret, first masked and then wrapped
		if masked := i < 2; len(s.Less) != 4 || (less.WrapInfo.Token == "") != masked || (less.Data != nil) != (i == 0) || less.Data["k"] != nil {
			t.Errorf("masked and wrapped answers: got %+v", s.Less)
		}
	}
	if s.Update != uri {
		t.Errorf("the update is about %q, want %q", s.Update, uri)
	}
}

func TestTypeScriptV1(t *testing.T) {
	g, _ := newGateway(t)
	var got seen
	if err := json.Unmarshal(node(t, "v1.mjs", g.URL+"/mcp", "dev-api-key"), &got); err != nil {
		t.Fatal(err)
	}
	got.check(t, "kv://secret/mcp/agent_api/v1")
	if got.Unknown != -32602 || got.Prompts != 4 || !slices.Equal(got.Completed, []string{"v1"}) || len(got.Progress) == 0 {
		t.Errorf("got %+v", got)
	}
}

func TestTypeScriptV2(t *testing.T) {
	g, _ := newGateway(t)
	for _, mode := range []string{"legacy", "auto", "2026-07-28"} {
		t.Run(mode, func(t *testing.T) {
			var got seen
			if err := json.Unmarshal(node(t, "v2.mjs", g.URL+"/mcp", "dev-api-key", mode), &got); err != nil {
				t.Fatal(err)
			}
			got.check(t, "kv://secret/mcp/agent_api/v2-"+mode)
		})
	}
}

func TestInspector(t *testing.T) {
	g, v := newGateway(t)
	if status, err := v.Send(t.Context(), "POST", "secret/data/mcp/agent_api/app", `{"data":{"k":"v"}}`); err != nil || status != 200 {
		t.Fatalf("got %d %v", status, err)
	}
	for _, era := range []string{"legacy", "modern", "auto"} {
		for _, endpoint := range []string{"/mcp", "/mcp/rpc"} {
			every := era != "auto" && endpoint == "/mcp" // elsewhere one method is enough: each starts a program
			t.Run(era+endpoint, func(t *testing.T) {
				inspect := func(args ...string) string {
					return string(node(t, append([]string{
						"node_modules/.bin/mcp-inspector", "--cli", g.URL + endpoint, "--transport", "http", "--protocol-era", era,
						"--header", "X-API-Key: dev-api-key", "--format", "json", "--quiet", "--method",
					}, args...)...))
				}
				for i, c := range []struct{ want, method, args string }{
					{`"structuredContent":{"data":{"k":"v"}`, "tools/call", "--tool-name kv_read --tool-arg path=app"},
					{`"kv_read"`, "tools/list", "--strict"},
					{`kv://secret/mcp/agent_api/app`, "resources/list", ""},
					{`\"k\":\"v\"`, "resources/read", "--uri kv://secret/mcp/agent_api/app"},
					{`Rotate the secret at app`, "prompts/get", "--prompt-name rotate_secret --prompt-args path=app"},
				} {
					if i > 0 && !every {
						break
					}
					if got := inspect(append([]string{c.method}, strings.Fields(c.args)...)...); !strings.Contains(got, c.want) {
						t.Errorf("%s: got %s, want it to hold %s", c.method, got, c.want)
					}
				}
			})
		}
	}
}

// TestInspectorSubscribes uses the inspector's second program, which keeps a
// connection open in a daemon of its own.
func TestInspectorSubscribes(t *testing.T) {
	g, _ := newGateway(t)
	for _, era := range []string{"legacy", "modern", "auto"} {
		t.Run(era, func(t *testing.T) {
			const mcpdo = "node_modules/.bin/mcpdo"
			t.Setenv("MCP_INSPECTOR_DAEMON_TOKEN", rand.Text())
			t.Setenv("MCP_INSPECTOR_DAEMON_DIR", t.TempDir())
			t.Cleanup(func() { node(t, mcpdo, "daemon", "stop") })
			node(t, mcpdo, "connect", g.URL+"/mcp", "--connection", era, "--transport", "http", "--era", era, "--header", "X-API-Key: dev-api-key")
			uri := "kv://secret/mcp/agent_api/" + era
			lines := watch(t, mcpdo, "--format", "json", "--connection", era, "resources/subscribe", uri)
			await(t, lines, `"subscribed"`)
			write(t, g, era)
			await(t, lines, `"resources/updated"`)
			await(t, lines, uri)
		})
	}
}

// write writes a secret over REST.
func write(t *testing.T, g *stack.Gateway, path string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, g.URL+"/secrets/"+path, strings.NewReader(`{"data":{"k":"v"}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", "dev-api-key")
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %d %v", resp.StatusCode, err)
	}
}

// await reads lines until one holds the text.
func await(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	for line := range lines {
		if strings.Contains(line, want) {
			return
		}
	}
	t.Fatalf("the program ended without %s", want)
}

// watch runs a program of the clients until the test ends and returns its lines.
func watch(t *testing.T, args ...string) <-chan string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	c := command(ctx, t, args)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 16)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		stop()
		_ = c.Wait()
	})
	return lines
}
