//go:build clients

package clients_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
)

// outcome is what a command has done: how it ended, and the form of what it said.
type outcome struct {
	code int
	form []string
	text string
}

// vault runs HashiCorp's command. OWN in its arguments is the name of the caller, TOKEN its
// token.
func vault(t *testing.T, s side, args ...string) outcome {
	t.Helper()
	for i, a := range args {
		args[i] = strings.NewReplacer("OWN", s.own, "TOKEN", s.token).Replace(a)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(e2e.Root(t), "bin", "vault"), args...)
	cmd.Env = append(os.Environ(), "VAULT_ADDR="+s.addr, "VAULT_TOKEN="+s.token, "HOME="+t.TempDir(), "VAULT_FORMAT=json")
	var out, bad bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &bad
	_ = cmd.Run() // the code says how it ended
	o := outcome{code: cmd.ProcessState.ExitCode(), text: out.String() + bad.String()}
	var v any
	if json.Unmarshal(out.Bytes(), &v) == nil {
		o.form = form(v, "")
	}
	return o
}

// TestVaultsCommand: the commands of the vault CLI do through the gateway what they do with
// Vault: they end as they do there, and say what they say there.
func TestVaultsCommand(t *testing.T) {
	sides := recorded(t, "vault", both(t))
	const p = "secret/mcp/OWN/cli"
	key := filepath.Join(t.TempDir(), "k.pub")
	if err := os.WriteFile(key, []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAf2P1gNdenfNUd9aXhWI/cpVGH1n76D0IRPbukgP72Z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command string
		other   []string // parts of the answer that differ on purpose
	}{
		{"status", []string{".build_date", ".type", ".storage_type", ".cluster", ".hcp", ".migration", ".nonce", ".removed", ".recovery", ".ha_", ".is_self", ".leader", ".active", ".perf", ".raft"}},
		{"token lookup", []string{".data."}},
		{"kv put " + p + " a=1 b=2", nil},
		{"kv put -cas=0 " + p + " a=1", nil},
		{"kv get " + p, nil},
		{"kv get -field=a " + p, nil},
		{"kv get -version=1 " + p, nil},
		{"kv get -mount=secret mcp/OWN/cli", nil},
		{"kv patch " + p + " c=3", nil},
		{"kv patch -method=rw " + p + " d=4", nil},
		{"kv list secret/mcp/OWN", nil},
		{"kv metadata get " + p, []string{".data.custom_metadata", ".data.created_by", ".data.last_updated_by", ".data.oldest_version", ".data.versions", ".data.updated_time"}},
		{"kv metadata put -max-versions=5 " + p, nil},
		{"kv metadata patch -custom-metadata=owner=me " + p, nil},
		{"kv delete " + p, nil},
		{"kv get " + p, nil},
		{"kv undelete -versions=3 " + p, nil},
		{"kv rollback -version=2 " + p, []string{".data.custom_metadata"}},
		{"kv destroy -versions=1 " + p, nil},
		{"kv get -version=1 " + p, nil},
		{"kv delete -versions=2 " + p, nil},
		{"read secret/data/mcp/OWN/cli", nil},
		{"list secret/metadata/mcp/OWN", nil},
		{"list secret/metadata/mcp/OWN/none", nil},
		{"kv get -wrap-ttl=60s " + p, nil},
		{"write transit/encrypt/mcp plaintext=aGk=", nil},
		{"write transit/encrypt/mcp plaintext=none!", nil},
		{"write -f transit/datakey/plaintext/mcp", nil},
		{"write transit/sign/signing input=aGk=", []string{".data.public_key", ".warnings"}},
		{"write ssh/sign/ca valid_principals=dev public_key=@" + key, nil},
		{"write ssh/creds/otp ip=127.0.0.1", nil},
		{"ssh -mode=otp -role=otp -no-exec dev@127.0.0.1", nil},
		{"read ssh/config/ca", nil},
		{"write ssh/lookup ip=127.0.0.1", nil},
		{"ssh -mode=otp -no-exec dev@127.0.0.1", nil},
		{"write -f transit/random/8", nil},
		{"read -field=data secret/data/mcp/OWN/cli", nil},
		{"kv metadata get -mount=secret mcp/OWN/cli", []string{".data.custom_metadata", ".data.created_by", ".data.last_updated_by", ".data.oldest_version", ".data.versions", ".data.updated_time"}},
		{"write pki/issue/web common_name=a.example.test", []string{".data.authority_key_id", ".data.private_key_type", ".data.expiration"}},
		{"list pki/certs", []string{" list"}},
		{"read totp/code/login", nil},
		{"token create -policy=default", []string{".auth.", ".warnings"}},
		{"token capabilities secret/data/mcp/OWN/x", []string{" list"}},
		{"secrets list", []string{"."}},
		{"token create -ttl=20m", []string{".auth.", ".warnings"}},
		{"login -no-store TOKEN", []string{".auth.", ".request_id"}},
		{"kv metadata delete " + p, nil},
		{"kv get " + p, nil},
		{"delete secret/data/mcp/OWN/none", nil},
		{"lease lookup nothing", nil},
		{"unwrap nothing", nil},
		{"read sys/nothing", nil},
	} {
		t.Run(c.command, func(t *testing.T) {
			var got []outcome
			for _, s := range sides {
				got = append(got, vault(t, s, strings.Fields(c.command)...))
			}
			direct, through := got[0], got[1]
			if direct.code != through.code {
				t.Errorf("got %d, Vault %d\n%s\n%s", through.code, direct.code, through.text, direct.text)
			}
			for _, part := range direct.form {
				differs := slices.ContainsFunc(append([]string{".mount_type", ".renewable", ".wrap_info.accessor"}, c.other...), func(o string) bool { return strings.Contains(part, o) })
				if !differs && !slices.Contains(through.form, part) {
					t.Errorf("Vault says %s, and the gateway does not: %s", part, through.text)
				}
			}
		})
	}
}

// TestUnwrap: what was wrapped through the gateway is looked at and opened there, once.
func TestUnwrap(t *testing.T) {
	for _, s := range recorded(t, "unwrap", both(t)) {
		vault(t, s, "kv", "put", "secret/mcp/OWN/w", "a=1")
		var wrapped struct {
			Info struct {
				Token string `json:"token"`
			} `json:"wrap_info"`
		}
		if err := json.Unmarshal([]byte(vault(t, s, "kv", "get", "-wrap-ttl=60s", "secret/mcp/OWN/w").text), &wrapped); err != nil {
			t.Fatal(err)
		}
		if o := vault(t, s, "write", "sys/wrapping/lookup", "token="+wrapped.Info.Token); o.code != 0 || !strings.Contains(o.text, "creation_ttl") {
			t.Errorf("%s: lookup: got %+v", s.name, o)
		}
		for i, want := range []int{0, 2} {
			if o := vault(t, s, "unwrap", wrapped.Info.Token); o.code != want {
				t.Errorf("%s: unwrap %d: got %+v", s.name, i, o)
			}
		}
	}
}

// TestLogin: a login begins a session that other commands use, and that ends when it is
// revoked.
func TestLogin(t *testing.T) {
	s := both(t)[1]
	o := vault(t, s, "write", "-field=token", "auth/approle/login", "role_id=agent_api", "secret_id="+e2e.Key)
	var token string
	if err := json.Unmarshal([]byte(o.text), &token); err != nil {
		t.Fatalf("got %+v", o)
	}
	session := side{"session", s.addr, token, s.own}
	for command, want := range map[string]int{"kv put secret/mcp/agent_api/s a=1": 0, "token renew": 0, "token lookup": 0} {
		if o := vault(t, session, strings.Fields(command)...); o.code != want {
			t.Errorf("%s: got %+v", command, o)
		}
	}
	if o := vault(t, session, "token", "revoke", "-self"); o.code != 0 {
		t.Errorf("revoke: got %+v", o)
	}
	if o := vault(t, session, "kv", "get", "secret/mcp/agent_api/s"); o.code != 2 {
		t.Errorf("after that: got %+v", o)
	}
}

// TestScripts: clients in other languages say the same of the gateway as of Vault.
func TestScripts(t *testing.T) {
	servers := both(t)
	root := e2e.Root(t)
	for name, command := range map[string][]string{
		"python3-hvac":    {"/usr/bin/python3", "testdata/with_hvac.py"},
		"node-vault":      {"node", "testdata/with_node_vault.js"},
		"vault-client-go": {filepath.Join(root, "bin", "vaultclientgo")},
	} {
		t.Run(name, func(t *testing.T) {
			var said []string
			sides := recorded(t, name, servers)
			for _, s := range sides {
				cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
				cmd.Env = append(os.Environ(), "VAULT_ADDR="+s.addr, "VAULT_TOKEN="+s.token, "CALLER="+s.own, "NODE_PATH="+filepath.Join(root, ".cache/clients/node_modules"))
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Errorf("%s: %v\n%s", s.name, err, out)
				}
				said = append(said, string(out))
			}
			if strings.ReplaceAll(said[0], sides[0].own, sides[1].own) != said[1] {
				t.Errorf("the gateway:\n%s\nVault:\n%s", said[1], said[0])
			}
		})
	}
}
