package server_test

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
	"portcullis/gateway/vault/vaulttest"
	"portcullis/gateway/vaultpolicy"
)

// byClaim grants by a claim; wide is what a mistake would make of it.
const (
	byClaim = "version: 2\ngrants: {roles: {dev: {kv: {\"teams/{claims.team}\": {}, \"of-{claims.team}/x\": {}}, transit: {\"{claims.team}\": {}}}}}\n"
	wide    = "version: 2\ngrants: {roles: {dev: {kv: {\"teams/{claims.team}\": {}, teams: {}}, transit: {\"{claims.team}\": {}, red: {}, blue: {}}}}}\n"
)

// claimants is a gateway whose callers are told apart by a claim of their tokens.
type claimants struct {
	*keyless
	key authtest.Key
}

// newClaimants sets Vault up by the data and runs a gateway that decides by others.
func newClaimants(t *testing.T, callers, data, decides string) *claimants {
	t.Helper()
	c := &claimants{&keyless{vault: vaulttest.Start(t), dir: t.TempDir()}, authtest.NewKey("ES256", "one")}
	put := func(name string, text []byte) string {
		file := filepath.Join(c.dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	at := put("data.yaml", []byte(data))
	for name, v := range map[string]string{
		"HOST": "127.0.0.1", "PORT": "0", "LOG_DIR": filepath.Join(c.dir, "logs"), "POLICY_DIR": filepath.Dir(at), "POLICY_TIMEOUT": "5s", "SHUTDOWN_DELAY": "0s",
		"API_KEYS_JSON": "", "VAULT_ADDR": c.vault.Addr, "VAULT_TIMEOUT": "30s", "VAULT_CALLERS": callers, "OIDC_ISSUER": "http://gateway.test", "RATE_LIMIT_ENABLED": "false",
		"OIDC_ISSUER_KEY_FILE": put("issuer.pem", newKey(t)), "JWT_JWKS_FILE": put("jwks.json", authtest.JWKS(c.key)), "JWT_CLAIMS_TO_POLICY": "team", "AUTH_JWT_ENABLED": "true",
		"JWT_ISSUER": "mcp-auth", "JWT_AUDIENCE": "mcp-agents", "VAULT_TOKEN": "",
	} {
		t.Setenv(name, v)
	}
	if callers == "child" {
		t.Setenv("VAULT_TOKEN", c.vault.Token)
	}
	_, plan := planned(t, callers)
	o, err := vaultpolicy.NewOperator(c.vault.Addr, "", call.Secret(c.vault.Token))
	if err == nil {
		err = o.SetUp(t.Context(), plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	put("data.yaml", []byte(decides))
	cfg, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	c.url = serve(t, cfg)
	for _, team := range []string{"red", "blue"} {
		c.vault.Write("secret/data/teams/"+team+"/app", map[string]any{"data": map[string]string{"of": team}})
		c.vault.Write("transit/keys/"+team, map[string]any{})
	}
	return c
}

// token is of a caller with the claim team.
func (c *claimants) token(subject string, team any) string {
	return c.key.Sign(authtest.Claims(subject, map[string]any{"roles": []string{"dev"}, "team": team, "scope": "read list write"}))
}

func (c *claimants) read(t *testing.T, token, team string) (int, string) {
	t.Helper()
	return c.request(t, "GET", "/kv/secret/teams/"+team+"/app", "", http.Header{"Authorization": {"Bearer " + token}})
}

// TestClaimsAreAFenceInVault: Vault lets a caller have what a claim of its token gives it,
// and refuses what is another's, where the gateway's own policy is opened wide. Two
// tokens of one caller with other claims do not disturb each other.
func TestClaimsAreAFenceInVault(t *testing.T) {
	for _, callers := range []string{"jwt", "child"} {
		t.Run(callers, func(t *testing.T) {
			decides := wide
			if callers == "child" {
				decides = byClaim // from which the gateway makes Vault's policies
			}
			c := newClaimants(t, callers, byClaim, decides)
			for range 2 {
				for _, who := range [][3]string{{"ann", "red", "blue"}, {"bob", "blue", "red"}, {"ann", "blue", "red"}} {
					token := c.token(who[0], who[1])
					if status, body := c.read(t, token, who[1]); status != 200 || !strings.Contains(body, `"of":"`+who[1]+`"`) {
						t.Errorf("%v: got %d %s", who, status, body)
					}
					if status, body := c.read(t, token, who[2]); status != 403 || strings.Contains(body, `"of"`) {
						t.Errorf("%v reaches across: got %d %s", who, status, body)
					}
					for key, want := range map[string]int{who[1]: 200, who[2]: 403} {
						header := http.Header{"Authorization": {"Bearer " + token}}
						if status, body := c.request(t, "POST", "/transit/encrypt", `{"key":"`+key+`","plaintext":"aGk="}`, header); status != want {
							t.Errorf("%v, key %s: got %d %s", who, key, status, body)
						}
					}
				}
			}
		})
	}
}

// spaced is a name as groups have them, in a URL.
const spaced = "%C3%89quipe%20bleue"

// hostileClaims are no clean names.
func hostileClaims() []any {
	return []any{
		"", ".", "..", "...", ".red", "red/../blue", "red/app", "/red", "red/", "red%2fapp", "%2e%2e", "+", "*", "red*", "r+d", "red+", "{{identity.entity.id}}", "}}", "{red",
		"red\x00", "red\n", "\tred", " red", "red ", "red\u202e", "re\u0301d", "red\u00a0blue", "red\"", "red\\", "red'", "red$", "${red}", "red;", "red,blue", "red:blue", "red#", "red?", "~red",
		"red..blue", strings.Repeat("r", 129),
		[]string{"red"},
		[]string{"red", "blue"},
		7, true,
		map[string]string{"red": "blue"},
		nil,
	}
}

// TestHostileClaimsReachNoFence: what is no clean name is in no metadata of Vault's and
// opens nothing there, not even with a gateway whose policy is opened wide.
func TestHostileClaimsReachNoFence(t *testing.T) {
	c := newClaimants(t, "jwt", byClaim, wide)
	for i, value := range hostileClaims() {
		token := c.token("mallory", value)
		for _, team := range []string{"red", "blue", "+", "*"} {
			if status, body := c.read(t, token, team); status != 403 || strings.Contains(body, `"of"`) {
				t.Errorf("%d. %q reads teams/%s: got %d %s", i, value, team, status, body)
			}
		}
	}
	if status, body := c.read(t, c.token("mallory", "red"), "red"); status != 200 {
		t.Errorf("a clean one: got %d %s", status, body)
	}
	c.vault.Write("secret/data/teams/"+spaced+"/app", map[string]any{"data": map[string]string{"of": "them"}})
	if status, body := c.read(t, c.token("ann", "Équipe bleue"), spaced); status != 200 {
		t.Errorf("a name with a space: got %d %s", status, body)
	}
	known := c.metadata(t)
	if len(known) != 2 || known["red"] != 1 || known["Équipe bleue"] != 1 {
		t.Errorf("Vault knows the claims %v", known)
	}
}

// metadata are the values of the claim that Vault has, and how many aliases have each.
func (c *claimants) metadata(t *testing.T) map[string]int {
	t.Helper()
	var list struct {
		Data struct{ Keys []string }
	}
	c.vault.Do(vaulttest.Request{Method: "LIST", Path: "identity/entity-alias/id"}, &list)
	if len(list.Data.Keys) < 2 {
		t.Fatalf("Vault has %d aliases", len(list.Data.Keys))
	}
	known := map[string]int{}
	for _, id := range list.Data.Keys {
		var alias struct {
			Data struct{ Metadata map[string]string }
		}
		c.vault.Do(vaulttest.Request{Path: "identity/entity-alias/id/" + id}, &alias)
		if value, ok := alias.Data.Metadata["claim_team"]; ok {
			known[value]++
		}
	}
	return known
}

// TestHostileClaimsAreInNoPolicy that the gateway writes of a caller.
func TestHostileClaimsAreInNoPolicy(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(byClaim), 0o600); err != nil {
		t.Fatal(err)
	}
	catalogue, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := policy.Open(policy.Config{Dir: dir, Catalogue: catalogue, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	of := func(team any) string {
		return vaultpolicy.Of(catalogue, e).All(&call.Caller{Subject: "mallory", Roles: []string{"dev"}, Method: call.JWT, Claims: map[string]any{"team": team}}).HCL()
	}
	if none, clean := of(nil), of("red"); strings.Contains(none, "teams") || !strings.Contains(clean, `"secret/data/teams/red/*"`) {
		t.Fatalf("got %s and %s", none, clean)
	}
	if got := of("Équipe bleue"); !strings.Contains(got, `"secret/data/teams/Équipe bleue/*"`) {
		t.Errorf("a name with a space: got %s", got)
	}
	for i, value := range hostileClaims() {
		if got := of(value); got != of(nil) {
			t.Errorf("%d. %q: got %s", i, value, got)
		}
	}
}

// TestAPlanSaysWhatItLacks: which grants each way leaves out, or opens to all callers.
func TestAPlanSaysWhatItLacks(t *testing.T) {
	dir := t.TempDir()
	data := `
version: 2
grants:
  subjects: {ann: {kv: {"jobs/{role}": {}, "any/+/x": {}}}}
  roles: {dev: {kv: {"teams/{claims.team}": {}, "mine/{role}": {}}, transit: {"{claims.key}": {}}}}
`
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"LOG_DIR": t.TempDir(), "POLICY_DIR": dir, "POLICY_TIMEOUT": "5s", "API_KEYS_JSON": `{"key-of-narrow":"narrow"}`, "VAULT_ADDR": "http://127.0.0.1:1",
		"OIDC_ISSUER": "http://gateway.test", "VAULT_TOKEN": "t",
	} {
		t.Setenv(name, value)
	}
	for callers, want := range map[string][2][]string{
		"jwt": {
			{`any/+/x`, `jobs/{role}`, `{claims.team} is claim_team`, `{claims.key} is claim_key`, `"secret/data/teams/{{identity.entity.aliases.ACCESSOR.metadata.claim_team}}/*"`, `"secret/data/mine/dev"`},
			{`secret/data/jobs`, `teams/+`, "OWN-"},
		},
		"gateway": {{`any/+/x`, `jobs/{role}`, `teams/{claims.team}`, `"secret/data/teams/+/*"`, `"secret/data/jobs/+"`, `"transit/encrypt/+"`}, {"OWN-", "{{"}},
		"child":   {{`any/+/x`}, {`jobs/{role}`, `{claims.`, "OWN-"}},
	} {
		_, p := planned(t, callers)
		for _, form := range []string{"hcl", "cli", "terraform"} {
			text, err := p.Print(form)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range want[0] {
				if !strings.Contains(text, w) && (form == "hcl" || w[0] != '"') {
					t.Errorf("%s as %s lacks %s:\n%s", callers, form, w, text)
				}
			}
			for _, w := range want[1] {
				if strings.Contains(text, w) {
					t.Errorf("%s as %s has %s:\n%s", callers, form, w, text)
				}
			}
		}
	}
}
