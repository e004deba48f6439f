// Package peer says where a request comes from: forwarding headers are believed
// from configured proxies and from nobody else. It also bounds the failures of
// one address.
package peer

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds the work that a forwarding header can cause.
const maxHops = 64

// Trust is the set of proxies whose forwarding headers are believed.
type Trust []netip.Prefix

// Addr returns the address of the connection's other end, the zero Addr when it
// has none (a Unix socket).
func Addr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// Contains reports whether an address is one of the proxies.
func (t Trust) Contains(a netip.Addr) bool {
	for _, p := range t {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Source returns where the request comes from: the peer, or the right-most hop
// of X-Forwarded-For that is not a proxy of ours when the peer is one. A hop that
// is not an address ends the search at the proxy that reported it, because
// whatever is to its left is unverified.
func (t Trust) Source(r *http.Request) netip.Addr {
	src := Addr(r)
	if !t.Contains(src) {
		return src
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && len(hops)-i <= maxHops; i-- {
		hop, ok := parseHop(hops[i])
		if !ok {
			return src
		}
		src = hop
		if !t.Contains(hop) {
			return src
		}
	}
	return src
}

// parseHop reads an address with or without a port; some proxies add one.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	ap, err := netip.ParseAddrPort(s)
	return ap.Addr().Unmap().WithZone(""), err == nil
}

// Scheme returns the scheme that the client used: that of the connection, or what a
// trusted proxy says in X-Forwarded-Proto. The proxy nearest to us comes last.
func (t Trust) Scheme(r *http.Request) string {
	said := strings.Split(strings.Join(r.Header.Values("X-Forwarded-Proto"), ","), ",")
	last := strings.ToLower(strings.TrimSpace(said[len(said)-1]))
	switch {
	case (last == "http" || last == "https") && t.Contains(Addr(r)):
		return last
	case r.TLS != nil:
		return "https"
	}
	return "http"
}
