package e2e_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// TestSSHD: the server of the helpers lets in who Vault vouches for, and nobody
// else, so that tests of the SSH operations mean something.
func TestSSHD(t *testing.T) {
	v := e2e.StartVault(t)
	dir := t.TempDir()
	key := filepath.Join(dir, "id")
	command(t, true, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	s := e2e.StartSSHD(t, command(t, true, "curl", "-sf", v.Addr+"/v1/ssh/public_key"), v)

	login(t, s, "-i", key, false)
	pub := strings.TrimSpace(command(t, true, "cat", key+".pub"))
	var signed struct {
		Data struct {
			SignedKey string `json:"signed_key"`
		}
	}
	vault(t, v, "ssh/sign/ca", `{"public_key":"`+pub+`","valid_principals":"root"}`, &signed)
	command(t, true, "sh", "-c", "printf '%s' '"+signed.Data.SignedKey+"' > "+key+"-cert.pub")
	login(t, s, "-i", key, true)
}

// TestSSHDWithPassword: a one-time password works once.
func TestSSHDWithPassword(t *testing.T) {
	v := e2e.StartVault(t)
	s := e2e.StartSSHD(t, "", v)
	var otp struct{ Data struct{ Key string } }
	vault(t, v, "ssh/creds/otp", `{"ip":"127.0.0.1","username":"root"}`, &otp)
	for _, c := range []struct {
		name, password string
		want           bool
	}{{"wrong", "11111111-2222-3333-4444-555555555555", false}, {"right", otp.Data.Key, true}, {"used", otp.Data.Key, false}} {
		out, err := s.PasswordLogin(t.Context(), "root", c.password, "echo logged in")
		if (err == nil && strings.Contains(out, "logged in")) != c.want {
			t.Errorf("%s password: got %q, %v, want success: %v\n%s", c.name, out, err, c.want, s.Output())
		}
	}
}

func login(t *testing.T, s *stack.SSHD, flag, key string, want bool) {
	t.Helper()
	args := append(s.ClientArgs(), flag, key, "root@127.0.0.1", "echo logged in")
	out, err := exec.CommandContext(t.Context(), "ssh", args...).CombinedOutput()
	if (err == nil && strings.Contains(string(out), "logged in")) != want {
		t.Errorf("got %s, %v, want success: %v\n%s", out, err, want, s.Output())
	}
}

func vault(t *testing.T, v *stack.Vault, path, body string, into any) {
	t.Helper()
	out := command(t, true, "curl", "-sf", "-H", "X-Vault-Token: "+v.Token, "-d", body, v.Addr+"/v1/"+path)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatal(err)
	}
}

func command(t *testing.T, succeed bool, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if (err == nil) != succeed {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}
