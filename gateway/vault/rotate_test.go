package vault_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/vaulttest"
)

// secretIDs are the accessors of the secret ids of the role gateway.
func secretIDs(t *testing.T, v *vaulttest.Vault) []string {
	t.Helper()
	var list struct {
		Data struct {
			Keys []string `json:"keys"`
		} `json:"data"`
	}
	if status := v.Do(vaulttest.Request{Path: "auth/approle/role/gateway/secret-id?list=true"}, &list); status >= 400 && status != 404 {
		t.Fatalf("got %d", status)
	}
	return list.Data.Keys
}

// mayRotate lets the gateway replace its secret id, and returns a file with the one that
// there is.
func mayRotate(t *testing.T, v *vaulttest.Vault) string {
	t.Helper()
	v.Write("sys/policies/acl/rotate", map[string]string{"policy": `path "auth/approle/role/gateway/secret-id" { capabilities = ["update"] }
path "auth/approle/role/gateway/secret-id/destroy" { capabilities = ["update"] }`})
	v.Write("auth/approle/role/gateway", map[string]any{"token_policies": []string{"gateway", "rotate"}})
	return writeFile(t, v.SecretID)
}

// TestSecretIDIsReplaced: with a new secret id every second no call and no login fails,
// and one secret id is left, which is the one in the file.
func TestSecretIDIsReplaced(t *testing.T) {
	v := vaulttest.Start(t)
	file := mayRotate(t, v)
	var heard sync.Map
	cl := newClient(t, vault.Config{
		Addr: v.Addr, Login: vault.Login{RoleID: v.RoleID, SecretIDFile: file, Rotate: time.Second}, Timeout: time.Minute,
		Upkeep: func(u vault.Upkeep) {
			if u.Code != "" {
				heard.Store(u.Path+" "+u.Code, true)
			}
		},
	})
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan bool)
	go func() { cl.Run(ctx); close(ran) }()
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{string(first): true}
	var calls, bad atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := put(t, cl, caller("rotated"), "x"); err != nil && ctx.Err() == nil {
					bad.Add(1)
					t.Errorf("a call while the secret id is replaced: %v", err)
				}
				calls.Add(1)
			}
		})
	}
	e2e.Eventually(t, "five secret ids", func() bool {
		if now, err := os.ReadFile(file); err == nil && len(now) > 0 && !seen[string(now)] {
			seen[string(now)] = true
			v.Write("sys/leases/revoke-prefix/auth/approle/login", nil) // every token: the next call logs in
		}
		return len(seen) >= 5
	})
	stop()
	wg.Wait()
	<-ran
	if len(seen) < 5 || calls.Load() == 0 {
		t.Fatalf("%d secret ids, %d calls", len(seen), calls.Load())
	}
	finish(t, file, v)
	if ids := secretIDs(t, v); len(ids) != 1 {
		t.Errorf("%d secret ids are left, want one", len(ids))
	}
	now, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if status := login(v, strings.TrimSpace(string(now))); status != 200 {
		t.Errorf("the secret id in the file: got %d", status)
	}
	if status := login(v, v.SecretID); status < 400 {
		t.Errorf("the first secret id: got %d", status)
	}
	for _, line := range []string{"auth/approle/role/gateway/secret-id ok", "auth/approle/role/gateway/secret-id/destroy ok"} {
		if _, ok := heard.Load(line); !ok {
			t.Errorf("there is no record of %s", line)
		}
	}
	t.Logf("%d secret ids, %d calls, %d failed", len(seen), calls.Load(), bad.Load())
}

// finish ends what was cut off by the end of the client, as the next one does.
func finish(t *testing.T, file string, v *vaulttest.Vault) {
	t.Helper()
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: vault.Login{RoleID: v.RoleID, SecretIDFile: file, Rotate: time.Second}})
	if err := cl.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func login(v *vaulttest.Vault, id string) int {
	return v.Do(vaulttest.Request{Method: http.MethodPut, Path: "auth/approle/login", Body: map[string]string{"role_id": v.RoleID, "secret_id": id}}, nil)
}

// What a crash has left is cleared away, and a failure changes nothing.
func TestSecretIDsThatWereLeft(t *testing.T) {
	v := vaulttest.Start(t)
	file := mayRotate(t, v)
	for _, suffix := range []string{".next", ".old"} {
		var made struct {
			Data struct {
				ID string `json:"secret_id"`
			} `json:"data"`
		}
		v.Do(vaulttest.Request{Method: http.MethodPut, Path: "auth/approle/role/gateway/secret-id", Body: map[string]any{}}, &made)
		if err := os.WriteFile(file+suffix, []byte(made.Data.ID), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	finish(t, file, v)
	if ids := secretIDs(t, v); len(ids) != 1 {
		t.Errorf("%d secret ids are left, want one", len(ids))
	}
	left, err := filepath.Glob(file + ".[no]*")
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}

	v.Write("auth/approle/role/gateway", map[string]any{"token_policies": []string{"gateway"}})
	v.Write("sys/leases/revoke-prefix/auth/approle/login", nil)
	before, _ := os.ReadFile(file)
	cl := newClient(t, vault.Config{Addr: v.Addr, Login: vault.Login{RoleID: v.RoleID, SecretIDFile: file, Rotate: time.Second}})
	if err := cl.Rotate(t.Context()); err == nil || !strings.Contains(err.Error(), "secret-id/destroy") || strings.Contains(err.Error(), strings.TrimSpace(string(before))) {
		t.Errorf("without the right: got %v", err)
	}
	if after, _ := os.ReadFile(file); string(after) != string(before) || len(secretIDs(t, v)) != 1 {
		t.Error("a failure has changed something")
	}
	if err := put(t, cl, caller("after"), "x"); call.AsError(err) != nil {
		t.Error(err)
	}
}
