package conformance_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/e2e/stack"
)

// TestAuditTap holds that a change made in Vault itself is reported from its audit
// records, over a file and over sockets, and one through the gateway once.
func TestAuditTap(t *testing.T) {
	root, err := stack.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	unix := filepath.Join(t.TempDir(), "tap")
	for _, tc := range []struct{ kind, where, device string }{
		{kind: "file"},
		{"tcp", tcp, `{"type":"socket","options":{"address":"` + tcp + `","socket_type":"tcp"}}`},
		{"unix", unix, `{"type":"socket","options":{"address":"` + unix + `","socket_type":"unix"}}`},
	} {
		t.Run(tc.kind, func(t *testing.T) {
			v, err := stack.StartVault(t.Context(), root, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = v.Stop() })
			if tc.kind == "file" {
				tc.where = v.AuditFile
			}
			env := append(stack.DevEnv(root, v), "VAULT_AUDIT_TAP="+tc.kind+":"+tc.where)
			g, err := stack.StartGateway(t.Context(), stack.GatewayOptions{Root: root, Dir: t.TempDir(), Env: env})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = g.Stop() })
			if tc.device != "" {
				enable(t, v, tc.device)
			}
			heard := follow(t, g)
			write(t, g, "mine")
			if status, err := v.Send(t.Context(), http.MethodPost, "secret/data/mcp/agent_api/theirs", `{"data":{"k":"canary"}}`); err != nil || status != http.StatusOK {
				t.Fatalf("got %d %v", status, err)
			}
			if status, err := v.Send(t.Context(), http.MethodPost, "secret/data/mcp/other/theirs", `{"data":{}}`); err != nil || status != http.StatusOK {
				t.Fatalf("got %d %v", status, err)
			}
			var got []string
			for len(got) < 2 {
				got = append(got, <-heard)
			}
			if !strings.Contains(got[0], `/mine","op":"kv.write","version":1,"subject":"agent_api","source":"gateway"`) ||
				!strings.Contains(got[1], `/theirs","op":"kv.write","version":1,"source":"audit"`) {
				t.Errorf("got %v", got)
			}
			select {
			case more := <-heard:
				t.Errorf("told of %s as well", more)
			case <-time.After(3 * time.Second):
			}
		})
	}
}

// TestNobodyHearsOfTheLeaseBook holds that the gateway's own notes about leases are
// told to nobody, whatever the caller may read.
func TestNobodyHearsOfTheLeaseBook(t *testing.T) {
	root, v := newVault(t)
	dir := t.TempDir()
	grants := "grants: {subjects: {agent_api: {kv: {mcp: {ops: [kv.read, kv.list]}}}}}\n"
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(grants), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(stack.DevEnv(root, v), "VAULT_AUDIT_TAP=file:"+v.AuditFile, "POLICY_DIR="+dir)
	g, err := stack.StartGateway(t.Context(), stack.GatewayOptions{Root: root, Dir: t.TempDir(), Env: env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop() })
	heard := followAt(t, g.URL+"/events?path=mcp/")
	for _, path := range []string{"mcp/.leases/subjects/other/leases/x", "mcp/other/app"} {
		if status, err := v.Send(t.Context(), http.MethodPost, "secret/data/"+path, `{"data":{}}`); err != nil || status != http.StatusOK {
			t.Fatalf("got %d %v", status, err)
		}
	}
	if got := <-heard; !strings.Contains(got, "mcp/other/app") {
		t.Errorf("told of %s", got)
	}
	select {
	case more := <-heard:
		t.Errorf("told of %s as well", more)
	case <-time.After(3 * time.Second):
	}
}

// enable adds an audit device, once the gateway is there for it.
func enable(t *testing.T, v *stack.Vault, device string) {
	t.Helper()
	for tick := time.NewTicker(100 * time.Millisecond); ; <-tick.C {
		if status, err := v.Send(t.Context(), http.MethodPost, "sys/audit/tap", device); err == nil && status < 300 {
			tick.Stop()
			return
		}
	}
}

// follow opens an event stream and returns its events.
func follow(t *testing.T, g *stack.Gateway) <-chan string {
	t.Helper()
	return followAt(t, g.URL+"/events")
}

func followAt(t *testing.T, url string) <-chan string {
	t.Helper()
	ctx, stop := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	resp := openEvents(ctx, t, url)
	out := make(chan string, 16)
	go func() {
		defer close(out)
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
			if data, ok := strings.CutPrefix(s.Text(), "data: "); ok {
				out <- data
			}
		}
	}()
	t.Cleanup(func() { stop(); _ = resp.Body.Close() })
	return out
}

// TestAuditTapIsLocal holds that nobody elsewhere can make events up.
func TestAuditTapIsLocal(t *testing.T) {
	root, err := stack.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{"tcp:0.0.0.0:9090", "tcp:10.0.0.1:9090", "udp:127.0.0.1:9090", "tcp:9090", "file:"} {
		env := append(stack.DevEnv(root, nil), "VAULT_TOKEN=x", "VAULT_AUDIT_TAP="+where)
		_, err := stack.StartGateway(t.Context(), stack.GatewayOptions{Root: root, Dir: t.TempDir(), Env: env})
		if !strings.Contains(fmt.Sprint(err), "VAULT_AUDIT_TAP") {
			t.Errorf("%s: got %v", where, err)
		}
	}
}
