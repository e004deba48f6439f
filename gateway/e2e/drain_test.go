package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// TestStoppingServesUntilNobodyCalls: after SIGTERM the gateway is not ready, which a
// balancer sees, and serves every call that still comes; then streams are ended, and the
// process ends with success.
func TestStoppingServesUntilNobodyCalls(t *testing.T) {
	root, dir := e2e.Root(t), t.TempDir()
	env := append(stack.DevEnv(root, e2e.StartVault(t)), "SHUTDOWN_DELAY=6s", "RATE_LIMIT_ENABLED=false")
	g, err := stack.StartGateway(t.Context(), stack.GatewayOptions{Root: root, Dir: dir, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop() })
	stream := visit(t, g.URL+"/events")
	if stream.StatusCode != http.StatusOK {
		t.Fatalf("events: %d", stream.StatusCode)
	}
	if err := g.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	e2e.Eventually(t, "not ready", func() bool { return text(t, visit(t, g.URL+"/readyz")).status == http.StatusServiceUnavailable })
	ready := text(t, visit(t, g.URL+"/readyz"))
	if !strings.Contains(ready.body, `"serving":{"ok":false,"detail":"the gateway is stopping: send calls elsewhere"}`) {
		t.Errorf("readyz: %s", ready.body)
	}
	for _, path := range []string{"/livez", "/secrets", "/whoami"} {
		if got := text(t, visit(t, g.URL+path)); got.status != http.StatusOK {
			t.Errorf("%s while stopping: %d %s", path, got.status, got.body)
		}
	}
	if _, err := io.Copy(io.Discard, stream.Body); err != nil {
		t.Errorf("the stream did not end as a stream ends: %v", err)
	}
	<-g.Done()
	if g.ExitCode() != 0 {
		t.Errorf("exit code %d\n%s", g.ExitCode(), g.Output())
	}
}

func visit(t *testing.T, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", e2e.Key)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

type answered struct {
	status int
	body   string
}

func text(t *testing.T, r *http.Response) answered {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{r.StatusCode, string(b)}
}
