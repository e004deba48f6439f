// Package e2e tests the built gateway against the real dev Vault, from outside.
// Most tests are scripts: text files of requests and assertions that anybody can
// read, see Script. The helpers are for tests of other packages too:
//
//	func TestX(t *testing.T) {
//		v := e2e.StartVault(t)
//		g := e2e.StartGateway(t, v, "RATE_LIMIT_ENABLED=false")
//		resp := e2e.Do(t, "GET", g.URL+"/secrets/app", "")
//	}
//
// or, for a script of one's own:
//
//	e2e.RunScript(t, "testdata/use.txt", e2e.StartVault(t))
package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/e2e/stack"
)

// Key is the API key that the helpers' gateways know; its subject is agent_api.
const Key = "dev-api-key"

// build brings the binaries up to date, once a process.
var build = sync.OnceValues(func() (string, error) {
	root, err := stack.Build(context.Background())
	if err == nil && Fleet() {
		err = stack.BuildFleet(context.Background(), root)
	}
	return root, err
})

// Fleet reports whether every gateway of the tests is three replicas behind a balancer
// (REPLICAS=3), for those tests that hold of any number.
func Fleet() bool { return os.Getenv("REPLICAS") == "3" }

// Root builds the binaries, once a test process, and returns the top of the
// project.
func Root(t testing.TB) string {
	t.Helper()
	root, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// StartVault starts a dev Vault for the test. Arguments are those of devvault.
func StartVault(t testing.TB, args ...string) *stack.Vault {
	t.Helper()
	v, err := stack.StartVault(t.Context(), Root(t), t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { wait(t, v.Process) })
	return v
}

// StartGateway starts a gateway for the test, with stack.DevEnv and the given
// environment over it. It has to end by itself when it is asked to.
func StartGateway(t testing.TB, v *stack.Vault, env ...string) *stack.Gateway {
	t.Helper()
	return startIn(t, t.TempDir(), v, Fleet(), env...)
}

func startIn(t testing.TB, dir string, v *stack.Vault, fleet bool, env ...string) *stack.Gateway {
	t.Helper()
	root := Root(t)
	o := stack.GatewayOptions{Root: root, Dir: dir, Env: append(stack.DevEnv(root, v), env...), Fleet: fleet}
	if o.Fleet && !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "REDIS_URL=") }) {
		o.Env = append(o.Env, "REDIS_URL="+sharedStore(t))
	}
	g, err := stack.StartGateway(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		wait(t, g.Process)
		if t.Failed() {
			t.Logf("the gateway's stderr:\n%s", g.Output())
		}
	})
	return g
}

// wait stops a process that the end of the test's context has not stopped yet.
func wait(t testing.TB, p *stack.Process) {
	t.Helper()
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

// Do sends a request with the development key and returns the answer, its body
// read. body may be empty.
func Do(t testing.TB, method, url, body string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", Key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, raw
}

// Lines decodes a file of JSON lines, such as an audit file. A missing file has
// no lines. A line without its end is still being written; it is read next time.
func Lines(t testing.TB, file string) []map[string]any {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var out []map[string]any
	for line := range bytes.Lines(raw[:bytes.LastIndexByte(raw, '\n')+1]) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%s: %v in %q", file, err, line)
		}
		out = append(out, m)
	}
	return out
}

// CallLines are the lines of a gateway's audit file about calls: without those about what
// the gateway asks of Vault for itself, which come when they come.
// Of several files, which are those of replicas, the lines are in the order of their times.
func CallLines(t testing.TB, files ...string) (out []map[string]any) {
	t.Helper()
	for _, file := range files {
		out = append(out, Lines(t, file)...)
	}
	if len(files) > 1 {
		slices.SortStableFunc(out, func(a, b map[string]any) int { return cmp.Compare(show(a["time"]), show(b["time"])) })
	}
	return slices.DeleteFunc(out, func(l map[string]any) bool { return l["type"] == "upkeep" })
}

// VaultRequests returns the paths of the requests that reached Vault, oldest
// first, from Vault's own audit file. What the gateway does about its own token and to
// see whether it is ready is not among them.
func VaultRequests(t testing.TB, v *stack.Vault) []string {
	t.Helper()
	var out []string
	for _, l := range vaultLines(t, v) {
		path, _ := lookup(l, ".request.path")
		out = append(out, show(path))
	}
	return out
}

func vaultLines(t testing.TB, v *stack.Vault) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, l := range Lines(t, v.AuditFile) {
		path, _ := lookup(l, ".request.path")
		if l["type"] == "request" && !housekeeping(show(path)) {
			out = append(out, l)
		}
	}
	return out
}

// housekeeping reports whether a request is about the gateway's own token, or asks for
// the mounts that readiness depends on.
func housekeeping(path string) bool {
	return strings.HasPrefix(path, "sys/internal/ui/mounts/") || strings.HasPrefix(path, "auth/token/") && strings.HasSuffix(path, "-self") || path == "auth/approle/login"
}
