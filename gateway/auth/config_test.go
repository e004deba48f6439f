package auth_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/auth"
	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/token"
	"portcullis/gateway/call"
)

// TestConfigurationsThatAreRefused has what would let the wrong one in, and above
// all what would make two identities one.
func TestConfigurationsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*auth.Config)
		want   string
	}{
		"subject from a name":         {func(c *auth.Config) { c.JWT.Claims.Subject = "name" }, "does not tell one identity"},
		"subject from an address":     {func(c *auth.Config) { c.JWT.Claims.Subject = "email" }, "does not tell one identity"},
		"subject from the audience":   {func(c *auth.Config) { c.JWT.Claims.Subject = "/aud" }, "does not tell one identity"},
		"subject from the roles":      {func(c *auth.Config) { c.JWT.Claims = token.Claims{Subject: "r", Roles: "/r"} }, "does not tell one identity"},
		"two trust domains, a tenant": {func(c *auth.Config) { c.MTLS.TrustDomains = []string{"a.test=t", "b.test=t"} }, "would equal those of"},
		"a domain as another's":       {func(c *auth.Config) { c.JWT.TrustDomains = []string{"a.test", "b.test=a.test"} }, "would equal those of"},
		"a domain twice":              {func(c *auth.Config) { c.MTLS.TrustDomains = []string{"a.test=t", "a.test=u"} }, "would equal those of"},
		"two tenants at once":         {func(c *auth.Config) { c.JWT.Claims = token.Claims{SPIFFE: true, Tenant: "t"} }, "not from both"},
		"CAs of different names": {func(c *auth.Config) {
			c.TLS.ClientCAFile = w.file("two.crt", append(w.ca.PEM(), w.otherCA.PEM()...))
		}, "different names"},
		"DNS names of such CAs": {func(c *auth.Config) {
			c.TLS.ClientCAFile, c.MTLS.SubjectFrom = w.file("two.crt", append(w.ca.PEM(), w.otherCA.PEM()...)), "dns"
		}, "different names"},
		"an unknown kind of name": {func(c *auth.Config) { c.MTLS.SubjectFrom = "o" }, "want cn, dns or spiffe"},
		"one header for both":     {func(c *auth.Config) { c.MTLS.VerifyHeader = "X-SSL-Client-S-DN" }, "the same header"},
		"a PEM block as the secret": {func(c *auth.Config) {
			c.JWT.Secret = call.Secret("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOC")
		}, "a public key is no secret"},
		"a short secret": {func(c *auth.Config) { c.JWT.Secret = "short" }, "shorter than 32"},
		"no issuer":      {func(c *auth.Config) { c.JWT.Issuers = nil }, "no issuer"},
		"no audience":    {func(c *auth.Config) { c.JWT.Audiences, c.PublicURL = nil, "" }, "no audience"},
		"a long skew":    {func(c *auth.Config) { c.JWT.ClockSkew = 1e12 }, "clock skew"},
		"keys over http": {func(c *auth.Config) { c.JWT.JWKSFile, c.JWT.JWKSURL = "", "http://issuer.test/jwks" }, "want https"},
		"discovery over http": {func(c *auth.Config) {
			c.JWT.JWKSFile, c.JWT.Discovery, c.JWT.Issuers = "", true, []string{"http://issuer.test"}
		}, "want https"},
		"discovery of no address":   {func(c *auth.Config) { c.JWT.JWKSFile, c.JWT.Discovery = "", true }, "not an address"},
		"no key file":               {func(c *auth.Config) { c.JWT.JWKSFile = "/nonexistent/jwks.json" }, "no such file"},
		"certificates without TLS":  {func(c *auth.Config) { c.TLS.CertFile, c.TLS.KeyFile = "", "" }, "needs TLS_CERT_FILE"},
		"certificates without a CA": {func(c *auth.Config) { c.TLS.ClientCAFile = "" }, "needs TLS_CLIENT_CA_FILE"},
		"a CA without asking":       {func(c *auth.Config) { c.TLS.ClientAuth = "off" }, "need TLS_CLIENT_AUTH"},
		"a leaf as the CA":          {func(c *auth.Config) { c.TLS.ClientCAFile = c.TLS.CertFile }, "is not a CA"},
		"an unknown mode":           {func(c *auth.Config) { c.TLS.ClientAuth = "maybe" }, "want off, request or require"},
		"a bad public address":      {func(c *auth.Config) { c.PublicURL = "gw.test" }, "PUBLIC_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := w.cfg
			c.change(&cfg)
			_, err := auth.New(cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestTwoCertificatesOfOneCAAreARotation(t *testing.T) {
	w := newWorld(t)
	next := authtest.NewCA("Fake CA")
	w.cfg.TLS.ClientCAFile = w.file("two.crt", append(w.ca.PEM(), next.PEM()...))
	w.cfg.TLS.CRLFile = ""
	ch := open(t, w.cfg)
	for _, l := range []*authtest.Leaf{w.client, next.Client("robot", nil)} {
		if _, err := ch.Authenticate(w.get(with(l))); err != nil {
			t.Error(err)
		}
	}
}

func TestSubjectsFromSPIFFEAndClaims(t *testing.T) {
	w := newWorld(t)
	id := func(s string) *authtest.Leaf { return w.ca.Client("", authtest.URI(s)) }
	w.cfg.MTLS.SubjectFrom, w.cfg.MTLS.SPIFFEPath, w.cfg.MTLS.TrustDomains = "spiffe", "/ns/agents/sa/", []string{"prod.test=acme", "dev.test"}
	w.cfg.JWT.Claims = token.Claims{Subject: "/app/id", Tenant: "org", Roles: "/realm/roles", Kind: "kind", Scopes: []string{"scp"}}
	ch := open(t, w.cfg)
	claims := map[string]any{"app": map[string]any{"id": "r2"}, "org": "acme", "realm": map[string]any{"roles": []string{"ops"}}, "kind": "human", "scp": "list"}
	for name, c := range map[string]struct {
		change func(*world) *call.Caller
		want   string
	}{
		"mapped domain": {func(w *world) *call.Caller { return w.accept(ch, with(id("spiffe://prod.test/ns/agents/sa/robot"))) }, "acme/robot agent mcp/~acme/robot"},
		"plain domain":  {func(w *world) *call.Caller { return w.accept(ch, with(id("spiffe://dev.test/ns/agents/sa/robot"))) }, "dev.test/robot agent mcp/~dev.test/robot"},
		"claims":        {func(w *world) *call.Caller { return w.accept(ch, bearer(w.good(claims))) }, "acme/r2 human mcp/~acme/r2"},
		"other domain":  {func(w *world) *call.Caller { return w.accept(ch, with(id("spiffe://evil.test/ns/agents/sa/robot"))) }, ""},
		"another path":  {func(w *world) *call.Caller { return w.accept(ch, with(id("spiffe://prod.test/ns/other/sa/robot"))) }, ""},
		"deeper path":   {func(w *world) *call.Caller { return w.accept(ch, with(id("spiffe://prod.test/ns/agents/sa/a/robot"))) }, ""},
		"no tenant": {func(w *world) *call.Caller {
			return w.accept(ch, bearer(w.good(map[string]any{"app": map[string]any{"id": "r2"}})))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if c := c.change(w); c != nil {
				got = c.Key() + " " + c.Kind + " " + c.Prefix.String()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// accept returns the caller of a request, nil when it is refused.
func (w *world) accept(ch *auth.Authenticator, change ...func(*http.Request)) *call.Caller {
	c, err := ch.Authenticate(w.get(change...))
	if err != nil {
		return nil
	}
	return c
}
