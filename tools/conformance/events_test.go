package conformance_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/vault/vaulttest"
)

// TestVaultEvents holds that a change made in Vault itself is reported from the event
// stream of Vault Enterprise, and one through the gateway once. The stream is that of
// a stand-in; everything else is a real Vault, which has none.
func TestVaultEvents(t *testing.T) {
	v := vaulttest.Start(t)
	e := vaulttest.StartEvents(t, v.Addr)
	g := startWith(t, v, "VAULT_ADDR="+e.URL)
	heard := follow(t, g)
	if line := logged(t, g, "event stream"); !strings.Contains(line, "is open") {
		t.Fatalf("the log: %s", line)
	}
	write(t, g, "mine")
	e.Send(vaulttest.Notification("", "secret/data/mcp/agent_api/mine", "data-write", 1))
	e.Send(vaulttest.Notification("", "secret/data/mcp/other/theirs", "data-write", 1)) // which this caller may not read
	e.Send(vaulttest.Notification("", "secret/data/mcp/agent_api/theirs", "data-write", 3))
	got := []string{<-heard, <-heard}
	if !strings.Contains(got[0], `/mine","op":"kv.write","version":1,"subject":"agent_api","source":"gateway"`) ||
		!strings.Contains(got[1], `/theirs","op":"kv.write","version":3,"source":"vault"`) {
		t.Errorf("got %v", got)
	}
	select {
	case more := <-heard:
		t.Errorf("told of %s as well", more)
	case <-time.After(3 * time.Second):
	}
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
}

// TestVaultEventsOnCommunityEdition holds that a real Vault that has no event stream
// is found out once, and that changes are looked for then.
func TestVaultEventsOnCommunityEdition(t *testing.T) {
	v := vaulttest.Start(t)
	g := startWith(t, v)
	if line := logged(t, g, "event stream"); !strings.Contains(line, "are found by polling instead") {
		t.Fatalf("the log: %s", line)
	}
	write(t, g, "app")
	heard := followAt(t, g.URL+"/events?path=mcp/agent_api/app")
	got := ""
	for tick := time.NewTicker(time.Second); got == ""; { // the first look only says what there is
		select {
		case got = <-heard:
			tick.Stop()
		case <-tick.C:
			if status, err := v.Send(t.Context(), http.MethodPost, "secret/data/mcp/agent_api/app", `{"data":{"k":"v"}}`); err != nil || status != http.StatusOK {
				t.Fatalf("got %d %v", status, err)
			}
		}
	}
	if !strings.Contains(got, `"source":"poll"`) {
		t.Errorf("got %s", got)
	}
	if n := v.Count("sys/events/subscribe/kv*"); n != 1 {
		t.Errorf("the stream was asked for %d times", n)
	}
}

func startWith(t *testing.T, v *vaulttest.Vault, env ...string) *stack.Gateway {
	t.Helper()
	root, err := stack.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	env = append(append(stack.DevEnv(root, v.Vault), "VAULT_EVENTS=true"), env...)
	g, err := stack.StartGateway(t.Context(), stack.GatewayOptions{Root: root, Dir: t.TempDir(), Env: env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop() })
	return g
}

// logged waits for a line of the gateway's log that holds a text.
func logged(t *testing.T, g *stack.Gateway, text string) string {
	t.Helper()
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		raw, _ := os.ReadFile(filepath.Join(g.LogDir, "server.log")) // which may not be there yet
		for line := range strings.Lines(string(raw)) {
			if strings.Contains(line, text) {
				tick.Stop()
				return line
			}
		}
	}
}
