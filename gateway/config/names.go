package config

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strings"
)

// checkNames brings ALLOWED_HOSTS into the one spelling that requests are compared
// with, and refuses values that no request could match.
func (c *Config) checkNames(p *problems) {
	for i, h := range c.AllowedHosts {
		name, err := allowedHost(h)
		p.unless(err == nil, "ALLOWED_HOSTS: %q %w", h, err)
		c.AllowedHosts[i] = name
	}
}

// nameRE is a DNS name in small letters, or one with a wildcard as its first label.
var nameRE = regexp.MustCompile(`^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// allowedHost is a host as edge compares it: scheme, port and the dot at the end do
// not matter there.
func allowedHost(s string) (string, error) {
	name := strings.ToLower(s)
	if _, rest, ok := strings.Cut(name, "://"); ok {
		name = strings.TrimSuffix(rest, "/")
	}
	if h, port, err := net.SplitHostPort(name); err == nil && strings.Trim(port, "0123456789") == "" {
		name = h
	}
	name = strings.TrimSuffix(strings.Trim(name, "[]"), ".")
	_, err := netip.ParseAddr(name)
	switch {
	case err == nil:
		return name, nil
	case name == "*":
		return "", errors.New("is not an allow-list; leave it out to serve every Host")
	case strings.Contains(strings.TrimPrefix(name, "*."), "*"):
		return "", errors.New("has a wildcard where none can be; write *.example.com for every name below example.com")
	case !nameRE.MatchString(name):
		return "", errors.New("is not the name of a host; write one like gw.example.com, a name beyond ASCII in its xn-- form")
	}
	return name, nil
}
