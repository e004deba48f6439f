package hostile_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/hostile"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/transform/abuse"
)

// TestS21_HostileModulesHarmNobody calls every misbehaving module while an honest
// caller makes 200 calls a second: each call of the former is a closed failure, none
// of the latter fails, on one processor as on two.
func TestS21_HostileModulesHarmNobody(t *testing.T) {
	v := e2e.StartVault(t)
	for _, procs := range []int{1, 2} {
		t.Run(fmt.Sprint(procs), func(t *testing.T) {
			o := stack.GatewayOptions{Root: e2e.Root(t), Dir: t.TempDir(), Env: []string{fmt.Sprintf("GOMAXPROCS=%d", procs)}}
			g, err := hostile.Start(t.Context(), o, v)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				for ctx.Err() == nil {
					if n := g.Honest(t.Context(), 200, time.Second); len(n.Failed) > 0 {
						t.Errorf("%d of %d honest calls failed, the first one: %s", len(n.Failed), n.Calls, n.Failed[0])
					}
				}
			}()
			for i, m := range g.Modules {
				misbehave(t, g, i, m)
			}
			stop()
			<-done
			if err := g.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// misbehave calls one module a few times. In the end it is in quarantine for its
// caller, who is told when to try again, or goes on failing.
func misbehave(t *testing.T, g *hostile.Gateway, i int, m abuse.Module) {
	t.Helper()
	for call := range 7 {
		status, body, err := g.Call(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		if m.Stage == abuse.Harmless {
			if status != http.StatusOK {
				t.Errorf("%s: got %d %s", m.Name, status, body)
			}
			continue
		}
		failed := status == http.StatusBadGateway && bytes.Contains(body, []byte("transform_failed"))
		if !failed && (call < 5 || status != http.StatusServiceUnavailable) || bytes.Contains(body, []byte("hostile-0")) {
			t.Errorf("%s: call %d got %d %.200s", m.Name, call, status, body)
		}
	}
}
