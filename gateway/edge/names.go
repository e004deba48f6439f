package edge

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// hostAllowed defends against DNS rebinding: on a loopback listener only loopback
// names are served, elsewhere the configured ones, or all when none is configured. A
// probe may ask for any, and for an address of the replica everywhere: a name that
// was bound anew is no address.
func (e *Edge) hostAllowed(r *http.Request) bool {
	name := hostname(r.Host)
	switch {
	case e.named(name):
		return true
	case e.probes[r.URL.Path] && (isAddress(name) || len(e.AllowedHosts) > 0 || !e.Loopback):
		return true
	case !e.Loopback:
		return len(e.AllowedHosts) == 0
	}
	return loopbackName(name)
}

// named reports whether the configuration names a host.
func (e *Edge) named(name string) bool {
	return slices.ContainsFunc(e.AllowedHosts, func(allowed string) bool {
		if below, wild := strings.CutPrefix(allowed, "*"); wild {
			return strings.HasSuffix(name, below) && len(name) > len(below)
		}
		return name == allowed
	})
}

// hostname is the name of a Host header: no port, no brackets, no dot at its end, in
// small letters.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

func loopbackName(name string) bool {
	a, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && a.IsLoopback()
}

// originAllowed compares whole origins (RFC 6454): those that the configuration names,
// and the gateway's own. Host is what a browser was made to say, so it proves nothing
// about an origin by itself: it must be a loopback name of a loopback listener, or one
// that the configuration names.
func (e *Edge) originAllowed(origin string, r *http.Request) bool {
	o, ok := canonicalOrigin(origin)
	if !ok {
		return false
	}
	is := func(other string) bool { c, ok := canonicalOrigin(other); return ok && c == o }
	if slices.ContainsFunc(e.Origins, is) || is(e.PublicURL) {
		return true
	}
	name := hostname(r.Host)
	return (e.named(name) || e.Loopback && loopbackName(name)) && is(e.scheme(r)+"://"+r.Host)
}

func (e *Edge) scheme(r *http.Request) string {
	switch {
	case e.Scheme != nil:
		return e.Scheme(r)
	case r.TLS != nil:
		return "https"
	}
	return "http"
}

// canonicalOrigin is the origin of a URL in one spelling: small letters, no default
// port. An opaque one ("null") has none.
func canonicalOrigin(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil {
		return "", false
	}
	scheme, host, port := strings.ToLower(u.Scheme), hostname(u.Host), u.Port()
	if port != "" && port != map[string]string{"http": "80", "https": "443"}[scheme] {
		host = net.JoinHostPort(host, port)
	}
	return scheme + "://" + host, true
}
