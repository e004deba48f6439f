package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// checkIssuers judges every issuer: what can never work is a problem, what most
// likely will not a warning that says what to do.
func (c *Config) checkIssuers(p *problems) {
	if c.plainKeys() {
		i := c.plainIssuer()
		for _, err := range i.judge(c.warn("JWT_*")) {
			p.errs = append(p.errs, fmt.Errorf("JWT_*: %w", err))
		}
		if slices.Contains(c.JWTIssuer, defaultIssuer) && (strings.HasPrefix(c.JWKSURL, "https://") || c.JWTDiscovery) {
			c.Warnings = append(c.Warnings, "JWT_ISSUER is "+defaultIssuer+", its default: set it to the iss of the issuer's tokens")
		}
	} else if c.JWTEnabled && c.JWTSecret == "" && len(c.Issuers) == 0 && !slices.Equal(c.JWTIssuer, []string{defaultIssuer}) {
		c.Warnings = append(c.Warnings, "JWT_ISSUER is set, but no keys: set JWT_OIDC_DISCOVERY=true, JWT_JWKS_URL, JWT_JWKS_FILE or JWT_HS256_SECRET")
	}
	for n, i := range c.Issuers {
		where := fmt.Sprintf("issuers entry %d", n+1)
		for _, err := range i.judge(c.warn(where)) {
			p.errs = append(p.errs, fmt.Errorf("%s: %w", where, err))
		}
	}
	if len(c.Issuers) > 0 && !c.JWTEnabled {
		c.Warnings = append(c.Warnings, "issuers are configured, but AUTH_JWT_ENABLED is false: every token will be refused")
	}
}

func (c *Config) warn(where string) func(string, ...any) {
	return func(format string, args ...any) {
		c.Warnings = append(c.Warnings, where+": "+fmt.Sprintf(format, args...))
	}
}

// plainKeys reports whether the JWT_* keys name published keys.
func (c *Config) plainKeys() bool { return c.JWKSURL != "" || c.JWKSFile != "" || c.JWTDiscovery }

// plainIssuer is the entry of the JWT_* keys.
func (c *Config) plainIssuer() Issuer {
	i := Issuer{
		Names: c.JWTIssuer, Audience: c.JWTAudience, Subject: c.JWTSubjectClaim, SubjectFormat: c.JWTSubjectFormat, TrustDomains: c.JWTTrustDomains,
		Tenant: c.JWTTenantClaim, RolesClaim: c.JWTRolesClaim, DefaultScopes: c.JWTDefaultScopes, ScopeClaims: c.JWTScopeClaims,
	}
	switch { // a file comes before an address, an address before discovery
	case c.JWKSFile != "":
		i.JWKSFile = c.JWKSFile
	case c.JWKSURL != "":
		i.JWKSURL = c.JWKSURL
	default:
		i.Discovery = c.JWTDiscovery
	}
	return i
}

// judge returns what can never work, and warns of what most likely will not.
func (i Issuer) judge(warn func(string, ...any)) (errs []error) {
	sources := 0
	for _, there := range []bool{i.JWKSURL != "", i.JWKSFile != "", i.Discovery} {
		if there {
			sources++
		}
	}
	unless := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	spiffe := i.SubjectFormat == "spiffe"
	unless(sources == 1, "give one of jwks_url, jwks_file and discovery = true, for the keys")
	unless(len(i.Names) > 0 || spiffe && len(i.TrustDomains) > 0, "issuer: missing; it is the iss of the tokens")
	unless(len(i.Audience) > 0, "audience: missing; it is the aud of the tokens that are meant for this gateway")
	unless(slices.Contains([]string{"", "plain", "spiffe"}, i.SubjectFormat), "subject_format: want plain or spiffe")
	unless(slices.Contains([]string{"", "agent", "human", "service"}, i.Kind), "kind: want agent, human or service")
	unless(!strings.Contains(i.JWKSURL, "/.well-known/openid-configuration"), "jwks_url: this is a discovery document; set discovery = true instead")
	unless(!i.Discovery || !slices.Contains(i.Names, ""), "discovery: needs an issuer")
	for _, s := range slices.Concat(i.Names, i.Audience) {
		unless(!strings.ContainsAny(s, "\"'[]{} \t"), "issuer and audience: %q is no list; write a, b or a list of texts", s)
	}
	for _, s := range i.DefaultScopes {
		if !slices.Contains([]string{"read", "write", "delete", "list"}, s) {
			warn("default_scopes: %q is none of read, write, delete and list, which the gateway's own operations ask for", s)
		}
	}
	for _, name := range i.Names {
		i.judgeName(name, warn)
	}
	if spiffe && len(i.DefaultScopes) == 0 {
		warn("a SPIFFE JWT-SVID carries no scopes: without default_scopes (JWT_DEFAULT_SCOPES) every call is refused with insufficient_scope")
	}
	return errs
}

// judgeName holds an issuer's name to what is known of its provider.
func (i Issuer) judgeName(name string, warn func(string, ...any)) {
	if strings.HasSuffix(name, "/.well-known/openid-configuration") {
		warn("issuer %s is the address of a discovery document; the issuer is what stands in front of it", name)
	}
	p, ok := providerOf(name)
	if !ok {
		return
	}
	if want := p.want(name); want != name {
		warn("issuer %s: tokens of %s say %s", name, p.name, want)
	}
	if p.never != "" && strings.Contains(name, p.never) || p.odd != nil && p.odd(name) {
		warn("issuer %s: %s", name, p.remedy)
	}
	if p.unscoped && len(i.DefaultScopes) == 0 && len(i.ScopeMap) == 0 {
		warn("tokens of %s carry none of the gateway's scopes: without default_scopes (JWT_DEFAULT_SCOPES) every call is refused with insufficient_scope", p.name)
	}
	i.judgeAudience(p, warn)
	if p.noDiscovery != "" && i.Discovery {
		warn("issuer %s: %s", name, p.noDiscovery)
	}
	if p.subject != "" && strings.Trim(cmp.Or(i.Subject, "sub"), "{}") == "sub" {
		warn("subject: %s", p.subject)
	}
}

// judgeAudience warns when none of the audiences can be in a token of the provider.
func (i Issuer) judgeAudience(p provider, warn func(string, ...any)) {
	if p.audience == nil || slices.ContainsFunc(i.Audience, func(a string) bool { return p.audience(a) == "" }) {
		return
	}
	for _, a := range i.Audience {
		warn("audience %s: %s", a, p.audience(a))
	}
}
