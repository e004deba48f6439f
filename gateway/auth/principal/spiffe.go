package principal

import (
	"errors"
	"fmt"
	"strings"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// SPIFFE maps SPIFFE ids to a tenant and a subject: the trust domain to the
// tenant, the last segment to the subject. What stands between them is fixed by
// Under, so that two ids never become one principal.
type SPIFFE struct {
	Under   string            // path that the subject's segment follows, for example "ns/agents/sa"; empty for none
	Tenants map[string]string // trust domain -> tenant; other domains are refused; empty means every domain is its own tenant
}

// NewSPIFFE reads trust domains as "domain" or "domain=tenant". Two domains that
// would become one tenant are a mistake.
func NewSPIFFE(under string, domains []string) (SPIFFE, error) {
	m := SPIFFE{Under: strings.Trim(under, "/"), Tenants: map[string]string{}}
	var errs []error
	owner := map[string]string{}
	for _, d := range domains {
		domain, tenant, ok := strings.Cut(d, "=")
		if !ok {
			tenant = domain
		}
		if _, err := call.ParseSubject(tenant); err != nil || !validDomain(domain) {
			errs = append(errs, fmt.Errorf("trust domain %q: want domain or domain=tenant", d))
			continue
		}
		if _, twice := m.Tenants[domain]; twice || owner[tenant] != "" {
			errs = append(errs, fmt.Errorf("trust domain %q: its identities would equal those of %q", d, owner[tenant]))
			continue
		}
		m.Tenants[domain], owner[tenant] = tenant, domain
	}
	return m, errors.Join(errs...)
}

// Parse returns the tenant and the subject of an id (SPIFFE-ID section 2), both as
// they stand in it.
func (m SPIFFE) Parse(id string) (tenant, subject string, err error) {
	rest, ok := strings.CutPrefix(id, "spiffe://")
	if !ok || len(id) > 2048 {
		return "", "", fmt.Errorf("%w: not a SPIFFE id", rule.SPIFFE)
	}
	domain, path, _ := strings.Cut(rest, "/")
	if !validDomain(domain) {
		return "", "", fmt.Errorf("%w: trust domain", rule.SPIFFE)
	}
	if m.Under != "" {
		if path, ok = strings.CutPrefix(path, m.Under+"/"); !ok {
			return "", "", fmt.Errorf("%w: not below the configured path", rule.SPIFFE)
		}
	}
	if tenant, ok = m.tenant(domain); !ok {
		return "", "", fmt.Errorf("%w: trust domain is not configured", rule.SPIFFE)
	}
	if path == "" || strings.ContainsAny(path, "/?#%") {
		return "", "", fmt.Errorf("%w: want one segment below the configured path", rule.SPIFFE)
	}
	if !Plain(tenant) || !Plain(path) {
		return "", "", fmt.Errorf("%w: trust domain or last segment", rule.UnsafeName)
	}
	return tenant, path, nil
}

func (m SPIFFE) tenant(domain string) (string, bool) {
	if len(m.Tenants) == 0 {
		return domain, true
	}
	t, ok := m.Tenants[domain]
	return t, ok
}

// validDomain holds a trust domain to its alphabet: lower case letters, digits,
// ".", "-" and "_" (SPIFFE-ID section 2.1).
func validDomain(s string) bool {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
	}
	return s != "" && len(s) <= 255 && strings.TrimFunc(s, ok) == "" && s[0] != '.'
}
