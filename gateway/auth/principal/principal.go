// Package principal turns what a credential says into names: only safe ones pass,
// and two identities never become one. Subjects, tenants and roles end up in
// Vault paths and policy names, so everything that could mean something there is
// refused at authentication.
package principal

import (
	"fmt"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// MaxScopes and MaxRoles bound what one credential may carry.
const (
	MaxScopes = 64
	MaxRoles  = 64
)

// AllScopes are the scopes that the gateway's own operations know.
func AllScopes() []string { return []string{"read", "write", "delete", "list"} }

// Check holds a caller to the rules of names and sets its prefix when it has none.
func Check(c *call.Caller, base call.Path) error {
	if _, err := call.ParseSubject(c.Subject); err != nil {
		return fmt.Errorf("%w: subject", rule.UnsafeName)
	}
	if c.Tenant != "" {
		if _, err := call.ParseSubject(c.Tenant); err != nil {
			return fmt.Errorf("%w: tenant", rule.UnsafeName)
		}
	}
	if err := checkLists(c); err != nil {
		return err
	}
	if c.RawSubject == "" {
		c.RawSubject = c.Subject
	}
	if c.Kind == "" {
		c.Kind = "agent"
	}
	if !ValidKind(c.Kind) {
		return rule.BadKind
	}
	if c.Prefix.IsZero() {
		return setPrefix(c, base)
	}
	return nil
}

// ValidKind reports whether k is a kind of caller.
func ValidKind(k string) bool { return k == "agent" || k == "human" || k == "service" }

func checkLists(c *call.Caller) error {
	if len(c.Roles) > MaxRoles || len(c.Scopes) > MaxScopes {
		return fmt.Errorf("%w: too many roles or scopes", rule.UnsafeName)
	}
	for _, r := range c.Roles {
		if _, err := call.ParseSubject(r); err != nil {
			return fmt.Errorf("%w: role", rule.UnsafeName)
		}
	}
	for _, s := range c.Scopes {
		if !ValidScope(s) {
			return rule.BadScope
		}
	}
	return nil
}

// setPrefix gives a caller {base}/{subject}, or {base}/~{tenant}/{subject}. No
// subject can begin with "~", so a tenant's tree is never a tenantless caller's.
func setPrefix(c *call.Caller, base call.Path) error {
	own := c.Subject
	if c.Tenant != "" {
		own = "~" + c.Tenant + "/" + c.Subject
	}
	p, err := call.ParsePath(own)
	if err != nil {
		return fmt.Errorf("%w: prefix", rule.UnsafeName)
	}
	c.Prefix = base.Join(p)
	return nil
}

// ValidScope reports whether s is a scope-token of RFC 6749 section 3.3 of at
// most 128 bytes.
func ValidScope(s string) bool {
	if s == "" || len(s) > call.MaxName {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
