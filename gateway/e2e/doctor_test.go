package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// TestDoctorSaysWhatToDo: a sound installation has nothing to mend; each fault is found,
// with what to do about it, and the exit code says so.
func TestDoctorSaysWhatToDo(t *testing.T) {
	v := e2e.StartVault(t)
	dir := t.TempDir()
	open := filepath.Join(dir, "token")
	if err := os.WriteFile(open, []byte("canary"), 0o644); err != nil { // that others read it is the fault
		t.Fatal(err)
	}
	sound := append(stack.DevEnv(e2e.Root(t), v), "VAULT_TOKEN=", "VAULT_ROLE_ID="+v.RoleID, "VAULT_SECRET_ID="+v.SecretID, "LOG_DIR="+dir, "PORT=1")
	r, err := stack.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	narrow := exec.CommandContext(t.Context(), "redis-cli", "-u", r.URL(), "ACL", "SETUSER", "gate", "on", ">canary", "~portcullis:*", "resetchannels", "+@all")
	if out, err := narrow.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	signer := func(key string, rights ...string) []string { return asSigner(t, v, key, rights...) }
	with := func(more ...string) []string { return append(append([]string{}, sound...), more...) }
	for name, c := range map[string]struct {
		env  []string
		code int
		want []string // check, state and what to do
	}{
		"sound":                {with("CHILD_TOKEN_ENABLED=true"), 0, []string{`"vault","state":"ok"`, `"clock","state":"ok"`, `"vault identity","state":"ok"`, `"directory of AUDIT_FILE","state":"ok"`, `"gateway","state":"warning"`}},
		"a token role missing": {with("CHILD_TOKEN_ENABLED=true", "CHILD_TOKEN_ROLE=none", "VAULT_ROLE_ID=", "VAULT_SECRET_ID=", "VAULT_TOKEN="+v.Token), 1, []string{`"token role none","state":"failed"`, `vault write auth/token/roles/none`}},
		"a refused credential": {with("VAULT_SECRET_ID=wrong"), 1, []string{`"vault identity","state":"failed"`}},
		"no Vault":             {with("VAULT_ADDR=http://127.0.0.1:1"), 1, []string{`"vault","state":"failed"`, "VAULT_ADDR", `"vault identity","state":"warning"`}},
		"shared":               {with("REDIS_URL="+r.URL(), "FIRM_STORE=vault:secret/portcullis/state", "VAULT_ROLE_ID=", "VAULT_SECRET_ID=", "VAULT_TOKEN="+v.Token), 0, []string{`"shared store","state":"ok"`, `"firm store","state":"ok"`}},
		"no Redis":             {with("REDIS_URL=redis://gate:canary@127.0.0.1:1"), 1, []string{`"shared store","state":"failed"`, "REDIS_URL"}},
		"a narrow Redis":       {with("REDIS_URL=redis://gate:canary@" + r.Addr), 1, []string{`"shared store","state":"failed"`, "~portcullis:* "}},
		"no place in Vault":    {with("FIRM_STORE=vault:nothing-here/state", "VAULT_ROLE_ID=", "VAULT_SECRET_ID=", "VAULT_TOKEN="+v.Token), 1, []string{`"firm store","state":"failed"`, "vault secrets enable -path=nothing-here"}},
		"an open file":         {with("AUDIT_SINK_TOKEN_FILE="+open, "AUDIT_SINKS=https://127.0.0.1:1/canary"), 1, []string{`"file AUDIT_SINK_TOKEN_FILE","state":"warning"`, "chmod o=,g-w", `"sink https://127.0.0.1:1","state":"failed"`}},
		"a refused policy":     {with("POLICY_DIR=" + filepath.Join(e2e.Root(t), "fixtures", "policy-bad", "misspelt")), 1, []string{`"policy","state":"failed"`, "payments.rego:10", "rename it to deny"}},
		"dangers":              {with("HOST=0.0.0.0", "API_KEYS_JSON=", "VAULT_ROLE_ID=", "VAULT_SECRET_ID=", "VAULT_TOKEN="+v.Token), 0, []string{`"policy","state":"ok"`, `"danger plain-http","state":"warning"`, `"danger root-token","state":"warning"`}},
		"a key that signs":     {with("AUDIT_SIGN_TRANSIT_KEY=transit/signing"), 0, []string{`"signing key","state":"ok"`}},
		"no key that signs":    {with("AUDIT_SIGN_TRANSIT_KEY=transit/none"), 1, []string{`"signing key","state":"failed"`, "vault write -f transit/keys/none type=ed25519"}},
		"another type of key":  {with("AUDIT_SIGN_TRANSIT_KEY=transit/mcp"), 1, []string{`"signing key","state":"failed"`, "aes256-gcm96, and checkpoints need ed25519"}},
		"a derived key":        {with(signer("derived", "keys/derived", "sign/derived")...), 1, []string{`"signing key","state":"failed"`, "is a derived key"}},
		"no right to sign":     {with(signer("signing", "keys/signing")...), 1, []string{`"signing key","state":"failed"`, "needs update on transit/sign/signing"}},
		"no right to the key":  {with(signer("signing", "sign/signing")...), 1, []string{`"signing key","state":"failed"`, "needs read on transit/keys/signing"}},
		"a right to sign":      {with(signer("signing", "keys/signing", "sign/signing")...), 0, []string{`"signing key","state":"ok"`}},
		"no name of a key":     {with("AUDIT_SIGN_TRANSIT_KEY=signing"), 1, []string{`"configuration","state":"failed"`, "must be MOUNT/NAME"}},
		"a wrong setting":      {with("AUDIT_SYNC=never"), 1, []string{`"configuration","state":"failed"`, "AUDIT_SYNC"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, code := portcullis(t, c.env, "doctor", "--json")
			var found struct{ Findings []map[string]string }
			if err := json.Unmarshal([]byte(out), &found); err != nil || code != c.code || strings.Contains(out, "canary") {
				t.Errorf("got %d, want %d: %v\n%s", code, c.code, err, out)
			}
			flat := strings.NewReplacer("\n", "", "      ", "", `": "`, `":"`, `", "`, `","`).Replace(out)
			for _, want := range c.want {
				if !strings.Contains(flat, want) {
					t.Errorf("lacks %s:\n%s", want, out)
				}
			}
			for _, f := range found.Findings {
				if f["state"] == "failed" && f["do"] == "" {
					t.Errorf("nothing to do about %v", f)
				}
			}
		})
	}
}

// TestConfigCommandsPrint: what is in force without secrets, every key, an example file.
func TestConfigCommandsPrint(t *testing.T) {
	env := append(stack.DevEnv(e2e.Root(t), nil), "VAULT_TOKEN=canary")
	if out, code := portcullis(t, env, "config", "print"); code != 0 || strings.Contains(out, "canary") || !strings.Contains(out, "VAULT_TOKEN=[redacted]") || !strings.Contains(out, "PORT=0") {
		t.Errorf("print: got %d %s", code, out)
	}
	if out, code := portcullis(t, nil, "config", "docs"); code != 0 || !strings.Contains(out, "| `AUDIT_SINKS` |") {
		t.Errorf("docs: got %d %.200s", code, out)
	}
	if out, code := portcullis(t, nil, "config", "example"); code != 0 || !strings.Contains(out, "# audit_sinks = ") {
		t.Errorf("example: got %d %.200s", code, out)
	}
}

// asSigner is the environment of a gateway whose own token has these rights on transit, and
// which signs with a key there; one that is called derived is made.
func asSigner(t *testing.T, v *stack.Vault, key string, rights ...string) []string {
	t.Helper()
	if key == "derived" {
		asVault(t, v, v.Token, "POST", "transit/keys/derived", `{"type":"ed25519","derived":true}`, "", nil)
	}
	policy := `path "secret/data/mcp/*" { capabilities = ["read"] }`
	for _, r := range rights {
		policy += fmt.Sprintf(` path "transit/%s" { capabilities = ["read", "update"] }`, r)
	}
	name := fmt.Sprintf("signer-%s-%d", strings.ReplaceAll(strings.Join(rights, "-"), "/", "-"), len(rights))
	raw, err := json.Marshal(map[string]string{"policy": policy})
	if err != nil {
		t.Fatal(err)
	}
	asVault(t, v, v.Token, "PUT", "sys/policies/acl/"+name, string(raw), "", nil)
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	asVault(t, v, v.Token, "POST", "auth/token/create", fmt.Sprintf(`{"policies":[%q]}`, name), "", &made)
	return []string{"AUDIT_SIGN_TRANSIT_KEY=transit/" + key, "VAULT_ROLE_ID=", "VAULT_SECRET_ID=", "VAULT_TOKEN=" + made.Auth.Token}
}
