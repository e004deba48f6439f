package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/gateway/auth"
	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/server"
)

const fixtures = "../../fixtures/identity/"

// provider is a recipe of the page with the token that it is for, and what the page
// promises of it.
type provider struct {
	heading, fixture                 string
	raw, subject, tenant, kind       string
	scopes, roles, groups, forPolicy string
}

func providers() []provider {
	const org = "organization=my-org phase=apply"
	return []provider{
		{
			heading: "GitHub Actions", fixture: "github", raw: "gh-octo-org/octo-repo", subject: "gh-octo-org~2focto-repo", kind: "service", scopes: "[read list]",
			forPolicy: "environment=prod ref=refs/heads/main ref_protected=true workflow=octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
		},
		{
			heading: "GitLab CI", fixture: "gitlab", raw: "gl-my-group/my-project", subject: "gl-my-group~2fmy-project", kind: "service", scopes: "[read list]",
			groups: "my-group/sub group,ops", forPolicy: "environment=test-environment2 ref=feature-branch-1 ref_protected=false",
		},
		{heading: "Kubernetes service accounts", fixture: "kubernetes", raw: "k8s-prod.app", subject: "k8s-prod.app", kind: "service", scopes: "[read write list]"},
		{
			heading: "Entra ID", fixture: "entra-v1", raw: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", subject: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", kind: "human",
			scopes: "[user_impersonation read list]", roles: "Vault.Reader,Domain Admins", forPolicy: "acr=1 amr=[pwd mfa] tid=11111111-2222-3333-4444-555555555555",
		},
		{
			heading: "Entra ID", fixture: "entra-v2", raw: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", subject: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", kind: "human",
			scopes: "[Secrets.Read read list]", roles: "Vault.Reader", groups: "0f9a0c2e-0000-4000-8000-000000000001,0f9a0c2e-0000-4000-8000-000000000002",
			forPolicy: "tid=11111111-2222-3333-4444-555555555555",
		},
		{
			heading: "Keycloak", fixture: "keycloak", raw: "f:b1f2a3c4:ada", subject: "f~3ab1f2a3c4~3aada", kind: "human", scopes: "[profile email read list]",
			roles: "offline_access,uma_authorization,/ops admins", forPolicy: "acr=1 auth_time=1.7e+09 client=agent-ui",
		},
		{
			heading: "Auth0", fixture: "auth0", raw: "auth0|5f7c8ec7c33c6c004bbafe82", subject: "auth0~7c5f7c8ec7c33c6c004bbafe82", kind: "human",
			scopes: "[openid profile read:secrets read list]", roles: "Secret Reader",
		},
		{
			heading: "Google", fixture: "google", raw: "google-113974264218217329634", subject: "google-113974264218217329634", kind: "service",
			scopes: "[read list]", forPolicy: "email=agent@example-project.iam.gserviceaccount.com",
		},
		{
			heading: "Okta", fixture: "okta", raw: "00u1b2c3d4e5f6g7h8i9", subject: "00u1b2c3d4e5f6g7h8i9", kind: "human",
			scopes: "[openid vault.read read list]", groups: "Everyone,Vault Admins",
		},
		{
			heading: "Buildkite", fixture: "buildkite", raw: "bk-acme-inc.super-duper-app", subject: "bk-acme-inc.super-duper-app", kind: "service",
			scopes: "[read list]", forPolicy: "build_branch=main step_key=build",
		},
		{
			heading: "HCP Terraform", fixture: "terraform", raw: "ws-mbsd5E3Ktt5Rg2Xm", subject: "ws-mbsd5E3Ktt5Rg2Xm", kind: "service", scopes: "[read list]", forPolicy: org,
		},
		{
			heading: "SPIFFE JWT-SVID", fixture: "spiffe", raw: "spiffe://prod.example.com/ns/agents/sa/robot", subject: "robot", tenant: "prod", kind: "agent",
			scopes: "[read write list]",
		},
	}
}

// recipe is the configuration that the page gives under a heading.
func recipe(t *testing.T, heading string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## "+heading+"\n")
	_, block, fenced := strings.Cut(section, "```toml\n")
	block, _, ended := strings.Cut(block, "```")
	if !ok || !fenced || !ended {
		t.Fatalf("the page has no recipe for %s", heading)
	}
	return block
}

// token is the fixture with times that are good now.
type token struct {
	Header map[string]any `json:"header"`
	Claims map[string]any `json:"claims"`
}

func readToken(t *testing.T, fixture string) (tok token) {
	t.Helper()
	raw, err := os.ReadFile(fixtures + fixture + ".json")
	if err == nil {
		err = json.Unmarshal(raw, &tok)
	}
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tok.Claims["iat"], tok.Claims["nbf"], tok.Claims["exp"] = now.Unix(), now.Unix(), now.Add(time.Hour).Unix()
	return tok
}

// keyOf makes the key of a provider. RSA keys take long, so all share one.
var rsaKey = sync.OnceValue(func() authtest.Key { return authtest.NewKey("RS256", "") })

func keyOf(tok token) authtest.Key {
	k := rsaKey()
	if tok.Header["alg"] == "ES256" {
		k = authtest.NewKey("ES256", "")
	}
	k.KID = tok.Header["kid"].(string)
	return k
}

// internet answers for every provider: with its discovery document and its keys, and
// with nothing but their keys.
type internet struct{ keys []byte }

func (i internet) RoundTrip(r *http.Request) (*http.Response, error) {
	body := i.keys
	if base, ok := strings.CutSuffix(r.URL.String(), ".well-known/openid-configuration"); ok {
		issuer := strings.TrimSuffix(base, "/")
		if strings.Contains(base, "auth0.com") || strings.Contains(base, "sts.windows.net") {
			issuer = base
		}
		body = []byte(fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, base+"keys"))
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// gateway is what a configuration makes, and what config check says of it.
type gateway struct {
	chain    *auth.Authenticator
	warnings string
}

// open reads a configuration as serve does. Files of keys lie in its directory.
func open(t *testing.T, text string, keys []byte) (gateway, error) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{"kubernetes-jwks.json": keys, "spiffe-bundle.json": keys, "portcullis.toml": []byte(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text = strings.ReplaceAll(text, `jwks_file = "`, `jwks_file = "`+dir+"/")
	if err := os.WriteFile(filepath.Join(dir, "portcullis.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Source{File: filepath.Join(dir, "portcullis.toml"), Offline: true})
	if err != nil {
		return gateway{}, err
	}
	a := server.AuthConfig(c, slog.New(slog.DiscardHandler))
	a.HTTPClient = &http.Client{Transport: internet{keys}}
	chain, err := auth.New(a)
	return gateway{chain, strings.Join(append(c.Warnings, server.Overlaps(c)...), "\n")}, err
}

// present presents a token.
func (g gateway) present(raw string) (*call.Caller, error) {
	r := httptest.NewRequest("GET", "http://gw.test/whoami", nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	return g.chain.Authenticate(r)
}

// TestRecipesOfIdentityProviders runs each recipe of the page with a token of its
// provider: without a warning, and to the caller that the page promises.
func TestRecipesOfIdentityProviders(t *testing.T) {
	for _, p := range providers() {
		t.Run(p.fixture, func(t *testing.T) {
			tok := readToken(t, p.fixture)
			k := keyOf(tok)
			g, err := open(t, recipe(t, p.heading), publish(p, k))
			if err != nil || g.warnings != "" {
				t.Fatalf("config check: %v, warnings %q", err, g.warnings)
			}
			c, err := g.present(k.SignWith(tok.Header, tok.Claims))
			if err != nil {
				t.Fatal(err)
			}
			got := provider{
				p.heading, p.fixture, c.RawSubject, c.Subject, c.Tenant, c.Kind,
				fmt.Sprint(c.Scopes), strings.Join(c.Roles, ","), strings.Join(c.Groups, ","), strings.TrimSuffix(strings.TrimPrefix(strings.ReplaceAll(fmt.Sprint(c.Claims), ":", "="), "map["), "]"),
			}
			got.forPolicy = strings.ReplaceAll(got.forPolicy, "=//", "://")
			if got != p {
				t.Errorf("got  %+v\nwant %+v", got, p)
			}
		})
	}
}

// publish is the key set of a provider: those of SPIFFE say so in their use.
func publish(p provider, k authtest.Key) []byte {
	set := authtest.JWKS(k)
	if p.fixture == "spiffe" {
		set = bytes.ReplaceAll(set, []byte(`"use":"sig"`), []byte(`"use":"jwt-svid"`))
	}
	return set
}

// TestUsualMistakesWithIdentityProvidersAreNamed makes five mistakes with each
// recipe. Each is named before a token comes, by config check, or by the answer to
// the token in a word and by the log in its detail.
func TestUsualMistakesWithIdentityProvidersAreNamed(t *testing.T) {
	for _, p := range providers() {
		text, tok := recipe(t, p.heading), readToken(t, p.fixture)
		k := keyOf(tok)
		other := authtest.NewKey("ES256", "other")
		for _, m := range []struct {
			name       string
			text       string // the configuration with the mistake
			claims     map[string]any
			keys       []byte
			check      string // what config check says, empty for nothing
			word, rule string // what the refusal and its cause say
		}{
			{name: "the audience of another service", text: text, claims: map[string]any{"aud": "https://other.example.com"}, word: "audience", rule: "claim.aud"},
			{name: "an audience with a slash", text: text, claims: map[string]any{"aud": tok.audience() + "/"}, word: "audience", rule: "differs from"},
			{name: "a template with a claim that it lacks", text: withSubject(text), word: "subject", rule: "the token has no claim no_such_claim"},
			{name: "the keys of somebody else", text: text, keys: authtest.JWKS(other), word: "unknown key", rule: "token.kid: no such key among 1"},
			{name: "an old token", text: text, claims: map[string]any{"exp": 1700000000}, word: "expired", rule: "claim.exp"},
			{name: "another issuer", text: text, claims: map[string]any{"iss": "https://idp.example.net/"}, word: "issuer", rule: "claim.iss"},
			{name: "no keys", text: withoutKeys(text), check: "give one of jwks_url, jwks_file and discovery"},
			{name: "a misspelled key", text: text + "role_claim = \"r\"\n", check: "unknown key role_claim"},
		} {
			t.Run(p.fixture+"/"+m.name, func(t *testing.T) {
				keys := m.keys
				if keys == nil {
					keys = publish(p, k)
				}
				g, err := open(t, m.text, keys)
				if m.check != "" || err != nil {
					if err == nil || m.check == "" || !strings.Contains(err.Error(), m.check) {
						t.Errorf("config check: got %v, want %q", err, m.check)
					}
					return
				}
				claims := readToken(t, p.fixture).Claims
				for name, v := range m.claims {
					claims[name] = v
				}
				_, err = g.present(k.SignWith(tok.Header, claims))
				if e := call.AsError(err); e == nil || e.Msg != "the credential is not valid: "+m.word || !strings.Contains(err.Error(), m.rule) {
					t.Errorf("got %v, want %q and %q", err, m.word, m.rule)
				}
			})
		}
	}
}

func (t token) audience() string {
	if list, ok := t.Claims["aud"].([]any); ok {
		return list[0].(string)
	}
	return t.Claims["aud"].(string)
}

// withSubject is a recipe whose subject is a claim that no token has.
func withSubject(text string) string {
	return edit(text, "subject", `subject = "{no_such_claim}"`)
}

func withoutKeys(text string) string { return edit(edit(text, "discovery", ""), "jwks_file", "") }

// edit replaces the line of a key, or adds it.
func edit(text, key, line string) string {
	var out []string
	for l := range strings.Lines(text) {
		if !strings.HasPrefix(l, key+" ") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "") + line + "\n"
}

// TestRecipesSideBySideKeepTheirNamesApart: config check warns of two issuers whose
// names can meet, and of no two that tenants or the texts of their templates keep
// apart.
func TestRecipesSideBySideKeepTheirNamesApart(t *testing.T) {
	keys := authtest.JWKS(rsaKey())
	apart := recipe(t, "GitHub Actions") + recipe(t, "GitLab CI") + recipe(t, "Kubernetes service accounts") + recipe(t, "Google") + recipe(t, "Buildkite") + recipe(t, "SPIFFE JWT-SVID")
	g, err := open(t, apart, keys)
	if err != nil || g.warnings != "" {
		t.Errorf("apart: got %q, %v", g.warnings, err)
	}
	g, err = open(t, recipe(t, "Keycloak")+recipe(t, "Auth0"), keys)
	if err != nil || !strings.Contains(g.warnings, "issuer https://id.example.com/realms/prod and issuer https://acme.eu.auth0.com/ can name the same subject") {
		t.Errorf("meeting: got %q, %v", g.warnings, err)
	}
	g, err = open(t, "SUBJECT_BINDING = \"shared\"\n"+recipe(t, "Keycloak")+recipe(t, "Auth0"), keys)
	if err != nil || g.warnings != "" {
		t.Errorf("shared: got %q, %v", g.warnings, err)
	}
}
