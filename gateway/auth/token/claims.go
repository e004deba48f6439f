package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"portcullis/gateway/auth/principal"
)

// Claims says which claim is what. A claim is named by its name, by a dotted path
// ("realm_access.roles") or, when it begins with "/", by a JSON pointer (RFC 6901)
// into the claims ("/realm_access/roles").
type Claims struct {
	Subject string // JWT_SUBJECT_CLAIM, default sub: a claim, or a template of claims in braces
	SPIFFE  bool   // JWT_SUBJECT_FORMAT=spiffe: the subject is a SPIFFE id
	Under   string // JWT_SPIFFE_PATH: what stands between trust domain and last segment
	Tenant  string // JWT_TENANT_CLAIM, default none; a claim or a template; when set, a token without it is refused
	// FixedTenant is the tenant of all callers of the issuer, instead of Tenant.
	FixedTenant string
	Roles       string   // JWT_ROLES_CLAIM, default roles
	Groups      string   // default groups
	Kind        string   // JWT_KIND_CLAIM, default none; agent, human or service
	Default     string   // kind of a token without that claim, default agent
	Pass        []string // JWT_CLAIMS_TO_POLICY: name, or name=claim, that the policy sees
	Scopes      []string // JWT_SCOPE_CLAIMS, default scope,scopes,scp; a list, or a string of words
	// DefaultScopes (JWT_DEFAULT_SCOPES) are those of a token that names none of the
	// gateway's own, read, write, delete and list.
	DefaultScopes []string
	// ScopeMap adds scopes of the gateway for scopes with foreign names.
	ScopeMap map[string][]string
}

func (c Claims) withDefaults() Claims {
	for to, v := range map[*string]string{&c.Subject: "sub", &c.Roles: "roles", &c.Groups: "groups"} {
		if *to == "" {
			*to = v
		}
	}
	if c.Scopes == nil { // a list that is given may be empty
		c.Scopes = []string{"scope", "scopes", "scp"}
	}
	return c
}

// check refuses what can never name a caller, or names several with one name.
func (c Claims) check() error {
	var errs []error
	if c.SPIFFE && c.Tenant+c.FixedTenant != "" {
		errs = append(errs, errors.New("the tenant comes from the SPIFFE id or from a claim, not from both"))
	}
	if c.FixedTenant != "" && !principal.Plain(c.FixedTenant) {
		errs = append(errs, fmt.Errorf("the tenant %q: want letters, digits, '_', '-', '.' or '@', or a template like {org_id}", c.FixedTenant))
	}
	if c.Default != "" && !principal.ValidKind(c.Default) {
		errs = append(errs, fmt.Errorf("the kind %q: want agent, human or service", c.Default))
	}
	for _, s := range c.givenScopes() {
		if !principal.ValidScope(s) {
			errs = append(errs, fmt.Errorf("%q is no scope", s))
		}
	}
	for _, name := range append([]string{c.Subject, c.Tenant, c.Roles, c.Groups, c.Kind}, c.Scopes...) {
		if strings.Contains(name, "{") {
			continue // a template, which is read by parseTemplate
		}
		if strings.HasPrefix(name, "$") || strings.ContainsAny(name, "[]* ") {
			errs = append(errs, fmt.Errorf("%q names no claim: want a name, a dotted path or a JSON pointer like /realm_access/roles", name))
		}
	}
	return errors.Join(errs...)
}

func (c Claims) givenScopes() []string {
	out := slices.Clone(c.DefaultScopes)
	for foreign, ours := range c.ScopeMap {
		out = append(append(out, foreign), ours...)
	}
	return out
}
