package replicas_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// admin makes a key that may revoke, and returns the file with it and the setting that a
// gateway needs for it.
func admin(t *testing.T) (keyFile, setting string) {
	t.Helper()
	dir := t.TempDir()
	keys, key := filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "admin.key")
	out, err := exec.CommandContext(t.Context(), filepath.Join(e2e.Root(t), "bin", "portcullis"), "keys", "new", "--file", keys, "--subject", "ops", "--scope", "admin:revoke").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return key, "API_KEYS_FILE=" + keys
}

// TestARevocationReachesEveryReplica: also without Redis, and it outlives them all.
func TestARevocationReachesEveryReplica(t *testing.T) {
	key, setting := admin(t)
	w := start(t, "{}", setting, "FIRM_STORE=vault:secret/portcullis/state", "RATE_LIMIT_ENABLED=false")
	a, b, c := w.replicas[0], w.replicas[1], w.replicas[2]
	w.everywhere("served", http.StatusOK)
	revoke := exec.CommandContext(t.Context(), filepath.Join(e2e.Root(t), "bin", "portcullis"), "revoke", "--url", a.AdminURL, "--api-key-file", key, "--subject", "agent_api", "--reason", "a test")
	if out, err := revoke.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	began := time.Now()
	w.everywhere("revoked", http.StatusUnauthorized)
	t.Logf("every replica refuses after %v", time.Since(began))
	if got := ask(t, "GET", b.URL+"/kv/secret/portcullis/state/revocations", "", "X-API-Key: "+read(t, key)); got.status < 400 || strings.Contains(got.body, "agent_api") {
		t.Errorf("a caller reads the revocations: %d %s", got.status, got.body)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	c.start()
	if got := ask(t, "GET", c.URL+"/whoami", ""); got.status != http.StatusUnauthorized {
		t.Errorf("after a restart: %d", got.status)
	}
	if err := w.redis.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, "POST", b.AdminURL+"/readmit", `{"subject":"agent_api"}`, "X-API-Key: "+read(t, key)); got.status != http.StatusOK {
		t.Fatalf("to take it back: %d %s", got.status, got.body)
	}
	w.everywhere("served again, without Redis", http.StatusOK)
}

// everywhere waits until each replica answers a call with a status.
func (w *world) everywhere(what string, status int) {
	w.t.Helper()
	for _, r := range w.replicas {
		e2e.Eventually(w.t, what, func() bool { return ask(w.t, "GET", r.URL+"/whoami", "").status == status })
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

// TestAPlaceInVaultThatCannotBeUsedEndsTheStart, and the gateway says what to do.
func TestAPlaceInVaultThatCannotBeUsedEndsTheStart(t *testing.T) {
	v := e2e.StartVault(t)
	for _, place := range []string{"vault:nothing-here/state", "vault:transit/state"} {
		o := stack.GatewayOptions{Root: e2e.Root(t), Dir: t.TempDir(), Env: append(stack.DevEnv(e2e.Root(t), v), "FIRM_STORE="+place)}
		if _, err := stack.StartGateway(t.Context(), o); err == nil || !strings.Contains(err.Error(), "vault secrets enable -path=") {
			t.Errorf("%s: got %v, want what to do", place, err)
		}
	}
}

// TestARevocationIsKeptInTheStateDirectory of a gateway alone.
func TestARevocationIsKeptInTheStateDirectory(t *testing.T) {
	key, setting := admin(t)
	w := &world{t: t, vault: e2e.StartVault(t), env: []string{setting, "ADMIN_ADDR=127.0.0.1:0"}}
	r := &replica{world: w, dir: t.TempDir()}
	r.start()
	if got := ask(t, "POST", r.AdminURL+"/revoke", `{"subject":"agent_api"}`, "X-API-Key: "+read(t, key)); got.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", got.status, got.body)
	}
	for range 2 {
		if got := ask(t, "GET", r.URL+"/whoami", ""); got.status != http.StatusUnauthorized {
			t.Errorf("got %d, want 401", got.status)
		}
		if err := r.Kill(); err != nil {
			t.Fatal(err)
		}
		r.start()
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}
