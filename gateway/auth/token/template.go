package token

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"portcullis/gateway/auth/jose"
	"portcullis/gateway/auth/rule"
)

// template makes a name of claims: "{repository}", "{/kubernetes.io/namespace}:{sub}".
// Two tokens that differ in one of its claims never make the same name.
type template struct {
	first  string      // the text in front of the first claim
	claims []templated // empty for a text without claims
}

// templated is a claim and the text behind it.
type templated struct{ claim, then string }

// parseTemplate reads a template. Between two claims stands a text, because
// without one their values could be divided in two ways.
func parseTemplate(s string) (*template, error) {
	t := &template{}
	text, rest, _ := strings.Cut(s, "{")
	t.first = text
	for open := len(text) < len(s); open; {
		claim, after, closed := strings.Cut(rest, "}")
		if !closed || claim == "" || strings.Contains(claim, "{") {
			return nil, fmt.Errorf("%q: a claim is written {name} or {/json/pointer}", s)
		}
		text, rest, open = strings.Cut(after, "{")
		if open && text == "" {
			return nil, fmt.Errorf("%q: there must be a text between two claims", s)
		}
		t.claims = append(t.claims, templated{claim, text})
	}
	for _, text := range t.texts() {
		if strings.Contains(text, "}") {
			return nil, fmt.Errorf("%q: a closing brace without an opening one", s)
		}
	}
	return t, nil
}

func (t *template) texts() []string {
	out := []string{t.first}
	for _, c := range t.claims {
		out = append(out, c.then)
	}
	return out
}

// expand returns the name. A claim that is missing or empty makes none.
func (t *template) expand(b body) (string, error) {
	var out strings.Builder
	out.WriteString(t.first)
	between := t.between()
	for i, c := range t.claims {
		v, err := b.scalar(c.claim)
		if err != nil {
			return "", err
		}
		if i < len(t.claims)-1 {
			v = guard(v, between)
		}
		out.WriteString(v)
		out.WriteString(c.then)
	}
	return out.String(), nil
}

// between are the characters of the texts between claims.
func (t *template) between() string {
	var chars string
	for i := range len(t.claims) - 1 {
		chars += t.claims[i].then
	}
	return chars
}

// guard writes a value so that it does not contain what ends it. The last value of
// a template ends with the name and needs no guard.
func guard(v, between string) string {
	if !strings.ContainsAny(v, between+"~") {
		return v
	}
	var out strings.Builder
	for i := range len(v) {
		if c := v[i]; c == '~' || strings.IndexByte(between, c) >= 0 {
			out.WriteString("~" + hex.EncodeToString([]byte{c}))
			continue
		}
		out.WriteByte(v[i])
	}
	return out.String()
}

// scalar returns a claim that is a text or a whole number, as a text.
func (b body) scalar(name string) (string, error) {
	v, ok := b.find(name)
	if !ok {
		return "", fmt.Errorf("%w: the token has no claim %s", rule.NoSubject, name)
	}
	switch v := v.(type) {
	case string:
		if v == "" {
			return "", fmt.Errorf("%w: claim %s is empty", rule.NoSubject, name)
		}
		return v, nil
	case jose.Digits:
		if name != "sub" { // RFC 7519 section 4.1.2: a text, and 7 is not "7"
			return string(v), nil
		}
	case float64:
		if n := int64(v); name != "sub" && float64(n) == v {
			return strconv.FormatInt(n, 10), nil
		}
	}
	return "", fmt.Errorf("%w: %s is neither a text nor a whole number", rule.ClaimType, name)
}

// shared are claims that several identities can have in common. OpenID Connect Core
// section 5.7 says that of everything about a person but sub; the others describe
// the token, not the caller.
func shared() []string {
	return []string{
		"iss", "aud", "exp", "nbf", "iat", "jti", "scope", "scopes", "scp", "act", "cnf", "typ", "acr", "amr",
		"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile",
		"email", "phone_number", "address", "locale", "zoneinfo", "birthdate", "gender", "groups", "roles",
	}
}

// MayMeet reports whether two issuers with these claims can name the same caller:
// nothing that is fixed in their tenants or subjects keeps them apart.
func MayMeet(a, b Claims) bool {
	a, b = a.withDefaults(), b.withDefaults()
	return a.fixedTenant().meets(b.fixedTenant()) && a.fixedSubject().meets(b.fixedSubject())
}

// fixed is the text that names of one kind begin with, and whether all of them are
// nothing but it.
type fixed struct {
	first string
	whole bool
}

func (f fixed) meets(g fixed) bool {
	switch {
	case f.whole && g.whole:
		return f.first == g.first
	case f.whole: // nothing at all is no beginning of a tenant
		return f.first != "" && strings.HasPrefix(f.first, g.first)
	case g.whole:
		return g.meets(f)
	}
	return strings.HasPrefix(f.first, g.first) || strings.HasPrefix(g.first, f.first)
}

// fixedTenant is of the tenants: no tenant is the whole of an empty text, and a SPIFFE id always has
// one.
func (c Claims) fixedTenant() fixed {
	if c.SPIFFE {
		return fixed{}
	}
	if c.Tenant == "" {
		return fixed{c.FixedTenant, true}
	}
	return fixedOf(c.Tenant)
}

func (c Claims) fixedSubject() fixed {
	if c.SPIFFE {
		return fixed{}
	}
	return fixedOf(c.Subject)
}

func fixedOf(s string) fixed {
	t, err := claimOrTemplate(s)
	if err != nil {
		return fixed{}
	}
	return fixed{t.first, len(t.claims) == 0}
}
