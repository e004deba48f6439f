package server_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
	"portcullis/gateway/server"
	"portcullis/gateway/vault/vaulttest"
	"portcullis/gateway/vaultpolicy"
)

const setUpData = `
version: 2
grants:
  subjects: {narrow: {transit: {mcp: {}}}}
  roles: {dev: {kv: {shared/dev: {}, "team:{principal}/x": {}}}}
tenants:
  acme: {roles: {ops: {kv: {shared/ops: {}}}}}
`

// planned is what vault-setup would tell Vault, of a configuration in the environment.
func planned(t *testing.T, callers string) (config.Config, vaultpolicy.Plan) {
	t.Helper()
	c, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	catalogue, err := ops.New(server.Mounts(c))
	if err != nil {
		t.Fatal(err)
	}
	e, err := policy.Open(server.PolicyConfig(c, catalogue, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	p, err := server.VaultSetup(c, callers, vaultpolicy.Of(catalogue, e), e)
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

// TestVaultSetupOfAnAppRole: a gateway with what vault-setup has made, and nothing else,
// serves callers with their own tokens and with its own; it reads no secret itself where
// callers have tokens.
func TestVaultSetupOfAnAppRole(t *testing.T) {
	v, dir := vaulttest.Start(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(setUpData), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"HOST": "127.0.0.1", "PORT": "0", "POLICY_DIR": dir, "POLICY_TIMEOUT": "5s", "SHUTDOWN_DELAY": "0s", "API_KEYS_JSON": `{"key-of-narrow":"narrow"}`,
		"VAULT_ADDR": v.Addr, "VAULT_TIMEOUT": "30s", "RATE_LIMIT_ENABLED": "false", "VAULT_TOKEN": "", "KV_MOUNTS": "", "VAULT_AUTH_MOUNT": "gate/role",
		"MOUNTS": `[{"engine":"kv","path":"team","version":2,"prefix":"people/{subject}"}]`, "CHILD_TOKEN_ROLE": "kid", "LEASE_TOKEN_ROLE": "kid-lease", "CHILD_TOKEN_POLICY_PREFIX": "kids-",
	} {
		t.Setenv(name, value)
	}
	v.Write("sys/mounts/team", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	for callers, reads := range map[string]int{"child": 403, "gateway": 404} {
		t.Run(callers, func(t *testing.T) {
			t.Setenv("LOG_DIR", t.TempDir())
			t.Setenv("VAULT_CALLERS", callers)
			t.Setenv("VAULT_TOKEN", v.Token) // of whoever sets Vault up
			_, p := planned(t, callers)
			o, err := vaultpolicy.NewOperator(v.Addr, "", call.Secret(v.Token))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // it may be repeated
				if err := o.SetUp(t.Context(), p); err != nil {
					t.Fatal(err)
				}
			}
			role, secret, own := appRole(v, "auth/gate/role")
			for path, want := range map[string]int{"secret/data/mcp/narrow/none": reads, "secret/data/elsewhere": 403, "transit/keys/signing": 403, "sys/mounts": 403, "sys/policies/acl/root": 403} {
				if status := v.Do(vaulttest.Request{Path: path, Token: own}, nil); status != want {
					t.Errorf("%s with the gateway's own token: got %d, want %d", path, status, want)
				}
			}
			t.Setenv("VAULT_TOKEN", "")
			t.Setenv("VAULT_ROLE_ID", role)
			t.Setenv("VAULT_SECRET_ID", secret)
			c, err := config.Load(config.Source{})
			if err != nil {
				t.Fatal(err)
			}
			k := &keyless{vault: v, url: serve(t, c)}
			for _, step := range [][3]string{
				{"PUT", "/secrets/app", `{"data":{"in":"it"}}`},
				{"GET", "/secrets/app", ""},
				{"PUT", "/kv/team/people/narrow/app", `{"data":{"in":"it"}}`},
				{"POST", "/transit/encrypt", `{"key":"mcp","plaintext":"aGk="}`},
				{"DELETE", "/secrets/app", ""},
			} {
				if status, body := k.send(t, step[0], step[1], "key-of-narrow", step[2]); status >= 300 {
					t.Errorf("%s %s: got %d %s", step[0], step[1], status, body)
				}
			}
		})
	}
}

// appRole fetches what a gateway logs in with, and a token of its own.
func appRole(v *vaulttest.Vault, at string) (role, secret, token string) {
	var ids struct {
		Data struct {
			RoleID   string `json:"role_id"`
			SecretID string `json:"secret_id"`
		} `json:"data"`
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	v.Do(vaulttest.Request{Path: at + "/role/portcullis/role-id"}, &ids)
	v.Do(vaulttest.Request{Method: "PUT", Path: at + "/role/portcullis/secret-id"}, &ids)
	v.Do(vaulttest.Request{Method: "PUT", Path: at + "/login", Body: map[string]string{"role_id": ids.Data.RoleID, "secret_id": ids.Data.SecretID}}, &ids)
	return ids.Data.RoleID, ids.Data.SecretID, ids.Auth.Token
}

// TestVaultSetupNamesWhatRolesHold: the fence of callers who log in themselves is as wide
// as what the data grant roles, and follows the prefix of each mount.
func TestVaultSetupNamesWhatRolesHold(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(setUpData), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"LOG_DIR": t.TempDir(), "POLICY_DIR": dir, "POLICY_TIMEOUT": "5s", "API_KEYS_JSON": `{"key-of-narrow":"narrow"}`, "VAULT_ADDR": "http://127.0.0.1:1", "VAULT_CALLERS": "jwt",
		"OIDC_ISSUER": "http://gateway.test", "MOUNTS": `[{"engine":"kv","path":"team","version":2,"prefix":"people/{subject}"}]`, "VAULT_SECRET_ID_ROTATION": "0s",
	} {
		t.Setenv(name, value)
	}
	_, p := planned(t, "jwt")
	text, err := p.Print("hcl")
	if err != nil {
		t.Fatal(err)
	}
	entity := func(word string) string { return "{{identity.entity.aliases.ACCESSOR.metadata." + word + "}}" }
	for _, want := range []string{
		`"secret/data/shared/dev/*"`, `"secret/data/shared/ops/*"`, `"transit/encrypt/mcp"`, `"secret/data/` + entity("prefix") + `/*"`,
		`"team/data/people/` + entity("subject") + `/*"`, `"team/data/` + entity("subject") + `/x/*"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "OWN-") {
		t.Errorf("a mark is left:\n%s", text)
	}
	for _, form := range []string{"cli", "terraform"} {
		if text, err := p.Print(form); err != nil || strings.Contains(text, "OWN-") || form == "terraform" && !strings.Contains(text, "${vault_auth_backend.gateway.accessor}") {
			t.Errorf("%s: %v\n%s", form, err, text)
		}
	}
}
