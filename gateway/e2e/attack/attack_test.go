package attack_test

import (
	"strings"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/attack"
	"portcullis/gateway/e2e/stack"
)

// TestNobodyIsHurt is the short form of `make abuse`: beside every attack the honest
// caller loses no call, the probes answer, the evidence is complete and what the
// gateway holds is bounded. Times are not judged.
func TestNobodyIsHurt(t *testing.T) {
	v := e2e.StartVault(t)
	root := e2e.Root(t)
	for _, a := range attack.All() {
		t.Run(strings.ReplaceAll(a.Name, " ", "_"), func(t *testing.T) {
			g, err := attack.Start(t.Context(), stack.GatewayOptions{Root: root, Dir: t.TempDir(), Env: []string{"GOMAXPROCS=2"}}, v)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := g.Stop(); err != nil {
					t.Errorf("the gateway does not end: %v", err)
				}
			})
			const rate = 40
			base := g.Watch(t.Context(), nil, rate, 500*time.Millisecond)
			n := g.Watch(t.Context(), &a, rate, 1500*time.Millisecond)
			if n.Requests == 0 {
				t.Error("the attack did not take place")
			}
			for _, bad := range n.Bad(base) {
				t.Error(bad)
			}
		})
	}
}
