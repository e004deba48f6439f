package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// TestTwoGatewaysShareNoStateDirectory: the second one does not start, and says why; after
// the first one has gone, it does.
func TestTwoGatewaysShareNoStateDirectory(t *testing.T) {
	v := e2e.StartVault(t)
	state := filepath.Join(t.TempDir(), "state")
	first := e2e.StartGateway(t, v, "STATE_DIR="+state)
	o := stack.GatewayOptions{Root: e2e.Root(t), Dir: t.TempDir(), Env: append(stack.DevEnv(e2e.Root(t), v), "STATE_DIR="+state)}
	if _, err := stack.StartGateway(t.Context(), o); err == nil || !strings.Contains(err.Error(), "another gateway has the directory") {
		t.Errorf("a second gateway on the directory: %v", err)
	}
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	e2e.StartGateway(t, v, "STATE_DIR="+state)
}
