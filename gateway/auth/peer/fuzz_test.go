package peer_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"portcullis/gateway/auth/peer"
)

// FuzzSource: whoever is no proxy is its own source whatever it writes, and behind a
// proxy the source is the proxy or an address that the header names.
func FuzzSource(f *testing.F) {
	f.Add("10.0.0.1:1", "192.0.2.1, 10.0.0.2")
	f.Add("192.0.2.9:1", "127.0.0.1")
	f.Add("10.0.0.1:1", "[2001:db8::1]:80, , 10.0.0.3:9")
	trust := peer.Trust{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, remote, header string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {header}}}
		own, got := peer.Addr(r), trust.Source(r)
		switch {
		case got == own:
		case !trust.Contains(own):
			t.Errorf("%s became %s by %q", own, got, header)
		case !strings.Contains(strings.ToLower(header), got.String()) && !got.Is6():
			t.Errorf("%s is not in %q", got, header)
		}
	})
}
