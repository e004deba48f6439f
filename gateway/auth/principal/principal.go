// Package principal turns what a credential says into names, and two identities
// never become one. Subjects and tenants end up in Vault paths and policy names, so
// each is one safe segment. Roles and groups are for the policy alone and may be any
// text.
package principal

import (
	"fmt"
	"slices"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// Bounds of what one credential may carry. MaxRoles is for roles and for groups;
// MaxListBytes is for both and the scopes together, in bytes.
const (
	MaxScopes    = 256
	MaxRoles     = 2048
	MaxListBytes = 64 << 10
)

// AllScopes are the scopes that the gateway's own operations know.
func AllScopes() []string { return []string{"read", "write", "delete", "list"} }

// Ours reports whether a scope is one of them.
func Ours(scope string) bool { return slices.Contains(AllScopes(), scope) }

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
	c.KeepKey()
	if c.Prefix.IsZero() {
		return setPrefix(c, base)
	}
	return nil
}

// CheckNamed is Check for names that an operator or a CA gives: they must be plain,
// so that none equals the mapped name of somebody else.
func CheckNamed(c *call.Caller, base call.Path) error {
	if !Plain(c.Subject) {
		return fmt.Errorf("%w: subject: want 1 to %d letters, digits, '_', '-', '@' or single dots", rule.UnsafeName, call.MaxName)
	}
	if c.Tenant != "" && !Plain(c.Tenant) {
		return fmt.Errorf("%w: tenant", rule.UnsafeName)
	}
	return Check(c, base)
}

// ValidKind reports whether k is a kind of caller.
func ValidKind(k string) bool { return k == "agent" || k == "human" || k == "service" }

func checkLists(c *call.Caller) error {
	if len(c.Roles) > MaxRoles || len(c.Groups) > MaxRoles || len(c.Scopes) > MaxScopes {
		return fmt.Errorf("%w: more than %d roles or groups, or %d scopes", rule.TooMany, MaxRoles, MaxScopes)
	}
	size := 0
	for _, list := range [][]string{c.Roles, c.Groups, c.Scopes} {
		for _, s := range list {
			size += len(s)
		}
	}
	if size > MaxListBytes {
		return fmt.Errorf("%w: roles, groups and scopes of more than %d bytes", rule.TooMany, MaxListBytes)
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
	p, err := call.ParsePlain(own)
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
