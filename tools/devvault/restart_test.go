package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestRestartAfterKillFindsEverything(t *testing.T) {
	dir := t.TempDir()
	first := start(t, "--data", dir, "--root-token", "dev-root")
	first.putKV(t, "kept", "1")
	gw := first.login(t)
	sealed := field(t, first.want(t, 200, post(gw, "transit/encrypt/mcp", object{"plaintext": "dGV4dA=="})), "ciphertext")
	first.want(t, 204, post("dev-root", "ssh/roles/ca", object{"key_type": "ca", "allow_host_certificates": true}))
	first.kill()

	second := start(t, "--data", dir, "--root-token", "dev-root")
	if second.RoleID != first.RoleID || second.SecretID != first.SecretID || second.UnsealKey != first.UnsealKey {
		t.Errorf("got other ids: %+v, want %+v", second, first)
	}
	second.wantKV(t, "kept", "1")
	second.want(t, 200, get(gw, "auth/token/lookup-self"))
	second.want(t, 200, post(second.login(t), "transit/decrypt/mcp", object{"ciphertext": sealed}))
	if out := second.want(t, 200, get("dev-root", "ssh/roles/ca")); out["allow_user_certificates"] != false || out["allow_host_certificates"] != true {
		t.Errorf("a restart undid a change: %v", out)
	}
}

// Whatever was answered before a crash is there afterwards, and nothing else is.
func TestKilledWhileWriting(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		p := start(t, "--data", dir)
		acknowledged := writeUntilKilled(p, round)
		again := start(t, "--data", dir)
		for _, name := range acknowledged {
			again.wantKV(t, name, name)
		}
		keys, _ := again.want(t, 200, get("root", "secret/metadata/crash?list=true"))["keys"].([]any)
		for _, k := range keys {
			if !strings.HasPrefix(k.(string), "r") || len(k.(string)) != len("r0-w0-000") {
				t.Errorf("a fragment became an entry: %v", k)
			}
		}
		again.kill()
	}
}

func writeUntilKilled(p *process, round int) (acknowledged []string) {
	var mu sync.Mutex
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := range 1000 {
				name := fmt.Sprintf("crash/r%d-w%d-%03d", round, w, n)
				status, _, err := p.send("root", "POST", "secret/data/"+name, object{"data": object{"v": name}})
				if err != nil || status != 200 {
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, name)
				if len(acknowledged) == 100 {
					_ = p.cmd.Process.Kill()
				}
				mu.Unlock()
			}
		})
	}
	writers.Wait()
	p.kill()
	return acknowledged
}

func TestDirectoryHasOneOwner(t *testing.T) {
	dir := t.TempDir()
	start(t, "--data", dir)
	if p, err := launch("--data", dir); err == nil {
		p.kill()
		t.Error("a second process took the directory")
	} else if !strings.Contains(err.Error(), "in use by another devvault") {
		t.Errorf("got %v", err)
	}
}

func TestLostKeys(t *testing.T) {
	dir := t.TempDir()
	start(t, "--data", dir).kill()
	if err := os.Remove(filepath.Join(dir, "keys.json")); err != nil {
		t.Fatal(err)
	}
	if p, err := launch("--data", dir); err == nil {
		p.kill()
		t.Error("started without the key")
	} else if !strings.Contains(err.Error(), "without its keys.json") {
		t.Errorf("got %v", err)
	}
}

func TestAuditFile(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.log"), filepath.Join(dir, "two.log")
	p := start(t, "--data", filepath.Join(dir, "data"), "--audit-file", one)
	p.putKV(t, "audited", "plain-value")
	p.kill()
	wantAudit(t, one, "secret/data/audited", "plain-value")

	p = start(t, "--data", filepath.Join(dir, "data"), "--audit-file", two)
	p.putKV(t, "later", "plain-value")
	p.kill()
	wantAudit(t, two, "secret/data/later", "plain-value")
}

func wantAudit(t *testing.T, file, path, never string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(raw), `"path":"`+path+`"`); got != 2 {
		t.Errorf("%s: got %d records, want request and response", path, got)
	}
	if strings.Contains(string(raw), never) {
		t.Errorf("%s holds a value in the clear", file)
	}
}

func TestSealAndUnseal(t *testing.T) {
	p := start(t)
	p.putKV(t, "a", "1")
	p.want(t, 204, post("root", "sys/seal", nil))
	p.want(t, 503, get("", "sys/health"))
	p.want(t, 503, get("root", "secret/data/a"))
	p.want(t, 200, post("", "sys/unseal", object{"key": p.UnsealKey}))
	p.want(t, 200, get("", "sys/health"))
	p.wantKV(t, "a", "1")
}
