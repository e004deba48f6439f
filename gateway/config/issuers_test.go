package config_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"portcullis/gateway/config"
)

// TestIssuersAreTablesOfTheFile: in each format, and as JSON text in the environment.
func TestIssuersAreTablesOfTheFile(t *testing.T) {
	base(t)
	want := []config.Issuer{{
		Names: []string{"https://idp.test", "https://idp2.test"}, JWKSURL: "https://idp.test/jwks", Audience: []string{"a", "b"},
		Subject: "{repository}", Tenant: "acme", RolesClaim: "realm_access.roles", DefaultScopes: []string{"read", "list"},
		ScopeMap: map[string][]string{"vault.write": {"write", "delete"}}, Kind: "service",
	}, {Names: []string{"https://other.test"}, Discovery: true, Audience: []string{"c"}}}
	const asJSON = `[{"issuer":["https://idp.test","https://idp2.test"],"jwks_url":"https://idp.test/jwks","audience":["a","b"],"subject":"{repository}","tenant":"acme","roles_claim":"realm_access.roles","default_scopes":"read list","scope_map":{"vault.write":"write delete"},"kind":"service"},{"issuer":"https://other.test","discovery":true,"audience":"c"}]`
	files := map[string]string{
		"c.toml": `
[[issuers]]
issuer = "https://idp.test, https://idp2.test"
jwks_url = "https://idp.test/jwks"
audience = ["a", "b"]
subject = "{repository}"
tenant = "acme"
roles_claim = "realm_access.roles"
default_scopes = ["read", "list"]
scope_map = { "vault.write" = ["write", "delete"] }
kind = "service"
[[issuers]]
issuer = "https://other.test"
discovery = true
audience = "c"
`,
		"c.yaml": `
issuers:
- {issuer: [https://idp.test, https://idp2.test], jwks_url: https://idp.test/jwks, audience: [a, b], subject: "{repository}", tenant: acme,
   roles_claim: realm_access.roles, default_scopes: read list, scope_map: {vault.write: write delete}, kind: service}
- {issuer: https://other.test, discovery: true, audience: c}
`,
		"c.json": `{"issuers":` + asJSON + `}`,
	}
	for name, text := range files {
		c, err := load(write(t, name, text))
		if err != nil || !reflect.DeepEqual(c.Issuers, want) {
			t.Errorf("%s: got %+v, %v", name, c.Issuers, err)
		}
	}
	t.Setenv("ISSUERS", asJSON)
	if c, err := load(""); err != nil || !reflect.DeepEqual(c.Issuers, want) {
		t.Errorf("environment: got %+v, %v", c.Issuers, err)
	}
}

func TestSeveralIssuersInOneTextAreAList(t *testing.T) {
	base(t)
	t.Setenv("JWT_ISSUER", "https://a.test, https://b.test")
	t.Setenv("JWT_JWKS_URL", "https://a.test/jwks")
	c, err := load("")
	if err != nil || !reflect.DeepEqual(c.JWTIssuer, []string{"https://a.test", "https://b.test"}) {
		t.Errorf("got %q, %v", c.JWTIssuer, err)
	}
}

// TestIssuersThatCanNeverWorkAreRefused, and each problem is named with its entry.
func TestIssuersThatCanNeverWorkAreRefused(t *testing.T) {
	base(t)
	const good = "issuer: https://idp.test, jwks_url: https://idp.test/jwks, audience: a"
	for text, want := range map[string]string{
		"[{" + good + ", audiences: b}]":                                                     "entry 1: unknown key audiences; audience is meant?",
		"[{" + good + ", role_claim: b}]":                                                    "unknown key role_claim",
		"[{" + good + "}, {issuer: https://b.test, audience: a}]":                            "entry 2: give one of jwks_url, jwks_file and discovery",
		"[{" + good + ", discovery: true}]":                                                  "give one of jwks_url, jwks_file and discovery",
		"[{jwks_url: https://idp.test/jwks, audience: a}]":                                   "issuer: missing",
		"[{issuer: https://idp.test, jwks_url: https://idp.test/jwks}]":                      "audience: missing",
		"[{issuer: i, jwks_url: https://i/.well-known/openid-configuration, audience: a}]":   "set discovery = true instead",
		"[{" + good + ", kind: robot}]":                                                      "kind: want agent, human or service",
		"[{" + good + ", subject_format: dn}]":                                               "subject_format: want plain or spiffe",
		"[{" + good + ", discovery: perhaps}]":                                               "discovery: not a boolean",
		`[{issuer: 'https://a.test https://b.test', jwks_url: https://i/jwks, audience: a}]`: "is no list",
		"{" + good + "}": "[[issuers]]",
	} {
		if _, err := load(write(t, "c.yaml", "issuers: "+text+"\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	t.Setenv("JWT_AUDIENCE", `["a","b"]`)
	t.Setenv("JWT_JWKS_URL", "https://idp.test/jwks")
	if c, err := load(""); err != nil || !reflect.DeepEqual(c.JWTAudience, []string{"a", "b"}) {
		t.Errorf("JSON as audience: got %q, %v", c.JWTAudience, err)
	}
}

// TestSettingsThatDoNotFitTheProviderAreWarnedOf: the five usual ones of each provider
// that can be seen before a token comes.
func TestSettingsThatDoNotFitTheProviderAreWarnedOf(t *testing.T) {
	base(t)
	for _, c := range []struct{ issuer, audience, more, want string }{
		{"https://token.actions.githubusercontent.com/", "a", "default_scopes: [read]", "tokens of GitHub Actions say https://token.actions.githubusercontent.com"},
		{"token.actions.githubusercontent.com", "a", "default_scopes: [read]", "say https://token.actions.githubusercontent.com"},
		{"https://token.actions.githubusercontent.com", "a", "", "without default_scopes (JWT_DEFAULT_SCOPES) every call is refused"},
		{"https://gitlab.com/", "a", "default_scopes: [read]", "tokens of GitLab say https://gitlab.com"},
		{"https://gitlab.com", "a", "", "without default_scopes"},
		{"https://agent.buildkite.com/", "a", "default_scopes: [read]", "tokens of Buildkite say"},
		{"https://app.terraform.io/", "a", "default_scopes: [read]", "tokens of HCP Terraform say"},
		{"https://accounts.google.com/", "a", "default_scopes: [read]", "tokens of Google say https://accounts.google.com"},
		{"https://accounts.google.com", "https://accounts.google.com", "default_scopes: [read]", "this is the issuer"},
		{"https://sts.windows.net/11111111-2222-3333-4444-555555555555", "a", "", "say https://sts.windows.net/11111111-2222-3333-4444-555555555555/"},
		{"https://sts.windows.net/common/", "a", "", "no token has this issuer"},
		{"https://login.microsoftonline.com/common/v2.0", "a", "", "no token has this issuer"},
		{"https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555", "a", "", "no token has this issuer"},
		{"https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0/", "a", "", "say https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"},
		{"https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0", "api://x", "", "client id, a GUID"},
		{"https://acme.eu.auth0.com", "a", "", "say https://acme.eu.auth0.com/"},
		{"https://acme.eu.auth0.com/", "https://acme.eu.auth0.com/userinfo", "", "meant for Auth0 itself"},
		{"https://acme.okta.com", "a", "", "use a custom one"},
		{"https://acme.okta.com/oauth2/default/", "a", "", "say https://acme.okta.com/oauth2/default"},
		{"https://id.acme.test/realms/prod/", "a", "default_scopes: [read]", "tokens of Keycloak say https://id.acme.test/realms/prod"},
		{"https://id.acme.test/realms/prod", "account", "default_scopes: [read]", "make an audience mapper"},
		{"https://id.acme.test/realms/prod", "a", "", "without default_scopes"},
		{"https://kubernetes.default.svc.cluster.local", "a", "default_scopes: [read], discovery: true", "kubectl get --raw /openid/v1/jwks"},
		{"https://kubernetes.default.svc", "a", "", "without default_scopes"},
		{"https://idp.test/.well-known/openid-configuration", "a", "", "the issuer is what stands in front of it"},
		{"https://idp.test", "a", "default_scopes: [reads]", "none of read, write, delete and list"},
	} {
		keys := "jwks_url: https://idp.test/jwks"
		if strings.Contains(c.more, "discovery") {
			keys = "kind: service"
		}
		text := fmt.Sprintf("issuers: [{issuer: %q, audience: %q, %s%s}]\n", c.issuer, c.audience, keys, strings.TrimSuffix(", "+c.more, ", "))
		got, err := load(write(t, "c.yaml", text))
		if err != nil || !strings.Contains(strings.Join(got.Warnings, "\n"), c.want) {
			t.Errorf("%s, %s, %s: got %q, %v, want %q", c.issuer, c.audience, c.more, got.Warnings, err, c.want)
		}
	}
	text := "issuers: [{issuer: https://token.actions.githubusercontent.com, discovery: true, audience: a, default_scopes: [read]}]\n"
	if got, err := load(write(t, "c.yaml", text)); err != nil || len(got.Warnings) != 0 {
		t.Errorf("a good one: got %q, %v", got.Warnings, err)
	}
}

// TestAFileOfKeysComesBeforeAnAddress, as it always did for the JWT_* keys.
func TestAFileOfKeysComesBeforeAnAddress(t *testing.T) {
	base(t)
	t.Setenv("JWT_ISSUER", "https://idp.test")
	t.Setenv("JWT_JWKS_FILE", "keys.json")
	t.Setenv("JWT_JWKS_URL", "https://idp.test/jwks")
	t.Setenv("JWT_OIDC_DISCOVERY", "true")
	if c, err := load(""); err != nil || len(c.Warnings) != 0 {
		t.Errorf("got %q, %v", c.Warnings, err)
	}
}

func TestIssuerSettingsThatForgetSomethingAreWarnedOf(t *testing.T) {
	for want, env := range map[string][]string{
		"JWT_ISSUER is set, but no keys":                                    {"JWT_ISSUER=https://idp.test"},
		"JWT_ISSUER is mcp-auth, its default":                               {"JWT_JWKS_URL=https://idp.test/jwks"},
		"AUTH_JWT_ENABLED is false":                                         {`ISSUERS=[{"issuer":"https://i.test","discovery":true,"audience":"a"}]`, "AUTH_JWT_ENABLED=false"},
		"JWT_*: issuer https://gitlab.com/: tokens of GitLab":               {"JWT_ISSUER=https://gitlab.com/", "JWT_OIDC_DISCOVERY=true"},
		"without default_scopes (JWT_DEFAULT_SCOPES) every call is refused": {"JWT_ISSUER=https://gitlab.com", "JWT_OIDC_DISCOVERY=true"},
	} {
		t.Run(want, func(t *testing.T) {
			base(t)
			for _, e := range env {
				name, value, _ := strings.Cut(e, "=")
				t.Setenv(name, value)
			}
			c, err := load("")
			if err != nil || !strings.Contains(strings.Join(c.Warnings, "\n"), want) {
				t.Errorf("got %q, %v", c.Warnings, err)
			}
		})
	}
}
