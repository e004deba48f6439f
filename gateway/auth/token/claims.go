package token

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/auth/rule"
)

// Claims says which claim is what. A name that begins with "/" is a JSON pointer
// (RFC 6901) into the claims, "/realm_access/roles".
type Claims struct {
	Subject string   // JWT_SUBJECT_CLAIM, default sub
	SPIFFE  bool     // JWT_SUBJECT_FORMAT=spiffe: the subject is a SPIFFE id
	Under   string   // JWT_SPIFFE_PATH: what stands between trust domain and last segment
	Tenant  string   // JWT_TENANT_CLAIM, default none; when set, a token without it is refused
	Roles   string   // JWT_ROLES_CLAIM, default roles
	Kind    string   // JWT_KIND_CLAIM, default none; agent, human or service
	Pass    []string // JWT_CLAIMS_TO_POLICY: name, or name=claim, that the policy sees
	Scopes  []string // JWT_SCOPE_CLAIMS, default scope,scopes; a list, or a string of words
}

func (c Claims) withDefaults() Claims {
	if c.Subject == "" {
		c.Subject = "sub"
	}
	if c.Roles == "" {
		c.Roles = "roles"
	}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{"scope", "scopes"}
	}
	return c
}

// check refuses a subject claim that several identities can share. OpenID Connect
// Core section 5.7 says that of everything about a person but sub; the others
// describe the token, not the caller.
func (c Claims) check() error {
	shared := []string{
		"iss", "aud", "exp", "nbf", "iat", "jti", "scope", "scopes", "act", "cnf", "typ", "acr", "amr",
		"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile",
		"email", "phone_number", "address", "locale", "zoneinfo", "birthdate", "gender", "groups", "roles",
	}
	name := strings.TrimPrefix(c.Subject, "/")
	if slices.Contains(shared, name) || name == strings.TrimPrefix(c.Roles, "/") {
		return fmt.Errorf("the subject claim %q does not tell one identity from another", c.Subject)
	}
	if c.SPIFFE && c.Tenant != "" {
		return errors.New("the tenant comes from the SPIFFE id or from a claim, not from both")
	}
	return nil
}

// body are the claims of a token (RFC 7519 section 4).
type body map[string]any

// find returns a claim by its name or JSON pointer.
func (b body) find(name string) (any, bool) {
	if !strings.HasPrefix(name, "/") {
		v, ok := b[name]
		return v, ok
	}
	var v any = map[string]any(b)
	for part := range strings.SplitSeq(name[1:], "/") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]; !ok {
			return nil, false
		}
	}
	return v, true
}

// text returns a claim that is a string, empty when it is absent.
func (b body) text(name string) (string, error) {
	v, ok := b.find(name)
	if name == "" || !ok {
		return "", nil
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%w: %s is not a string", rule.ClaimType, name)
	}
	return s, nil
}

// words returns a claim that is a list of strings, or one string that split
// divides.
func (b body) words(name string, split func(string) []string) ([]string, error) {
	v, ok := b.find(name)
	if !ok {
		return nil, nil
	}
	switch v := v.(type) {
	case string:
		return split(v), nil
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("%w: %s holds more than strings", rule.ClaimType, name)
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%w: %s is neither a string nor a list", rule.ClaimType, name)
}

func whole(s string) []string { return []string{s} }

// maxDate is the end of the year 9999. A date beyond it is a mistake or a trick.
const maxDate = 253402300799

// date returns a NumericDate (RFC 7519 section 2), the zero time when it is absent.
func (b body) date(name string) (time.Time, error) {
	v, ok := b[name]
	if !ok {
		return time.Time{}, nil
	}
	f, ok := v.(float64)
	if !ok || math.IsNaN(f) || f < 0 || f > maxDate {
		return time.Time{}, fmt.Errorf("%w: %s is not a date", rule.ClaimType, name)
	}
	s, frac := math.Modf(f)
	return time.Unix(int64(s), int64(frac*1e9)), nil
}

// proved is when the caller proved itself to its issuer, the zero time when the
// token does not say so in a form that can be read.
func (b body) proved() time.Time {
	t, err := b.date("auth_time")
	if err != nil || t.Unix() <= 0 {
		return time.Time{}
	}
	return t
}

// dates holds exp, nbf and iat against the clock and returns when the token was
// issued and when it ends.
func (b body) dates(now time.Time, skew time.Duration) (issued, expires time.Time, err error) {
	var nbf time.Time
	for name, to := range map[string]*time.Time{"exp": &expires, "nbf": &nbf, "iat": &issued} {
		if *to, err = b.date(name); err != nil {
			return issued, expires, err
		}
	}
	switch {
	case expires.IsZero():
		err = rule.NoExpiry
	case !now.Before(expires.Add(skew)):
		err = fmt.Errorf("%w: %s ago", rule.Expired, now.Sub(expires).Round(time.Second))
	case nbf.After(now.Add(skew)):
		err = rule.NotYet
	case issued.After(now.Add(skew)):
		err = rule.IssuedLater
	}
	return issued, expires.Add(skew), err
}

// audience reports whether aud names one of ours (RFC 7519 section 4.1.3, RFC
// 8707 section 2): exactly, as a string or in a list of strings.
func (b body) audience(ours []string) error {
	auds, err := b.words("aud", whole)
	if err != nil {
		return fmt.Errorf("%w: %s", rule.Audience, "neither a string nor a list of strings")
	}
	for _, a := range auds {
		if slices.Contains(ours, a) {
			return nil
		}
	}
	return fmt.Errorf("%w: none of %s is ours", rule.Audience, strconv.Itoa(len(auds)))
}
