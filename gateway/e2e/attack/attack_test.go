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
// gateway holds is bounded. Times are not judged. What is noticed must be noticed
// twice: other tests share the machine, and what they did is not the attack's.
func TestNobodyIsHurt(t *testing.T) {
	v := e2e.StartVault(t)
	for _, a := range attack.All() {
		t.Run(strings.ReplaceAll(a.Name, " ", "_"), func(t *testing.T) {
			if bad := noticed(t, v, a); len(bad) > 0 {
				t.Logf("the first time: %s", strings.Join(bad, "; "))
				for _, what := range noticed(t, v, a) {
					t.Error(what)
				}
			}
		})
	}
}

// noticed runs an attack on a gateway of its own.
func noticed(t *testing.T, v *stack.Vault, a attack.Attack) []string {
	t.Helper()
	g, err := attack.Start(t.Context(), stack.GatewayOptions{Root: e2e.Root(t), Dir: t.TempDir(), Env: []string{"GOMAXPROCS=2"}}, v, a)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Stop(); err != nil {
			t.Errorf("the gateway does not end: %v", err)
		}
	}()
	const rate = 40
	base := g.Watch(t.Context(), nil, rate, 300*time.Millisecond)
	n := g.Watch(t.Context(), &a, rate, time.Second)
	if n.Requests == 0 {
		t.Error("the attack did not take place")
	}
	return n.Bad(base)
}
