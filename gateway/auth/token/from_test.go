package token_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"portcullis/gateway/auth/authtest"
)

// TestCallsFromOneAddressShareTheCaller: and a call from another never changes where the
// first has come from.
func TestCallsFromOneAddressShareTheCaller(t *testing.T) {
	k := authtest.NewKey("HS256", "")
	got, err := verifier(t, k, nil).Verify(t.Context(), k.Sign(authtest.Claims("bot", nil)), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	first := got.From(here)
	if got.From(here) != first {
		t.Error("two calls from one address have a caller each")
	}
	var wg sync.WaitGroup
	for _, from := range []netip.Addr{here, there} {
		wg.Go(func() {
			for range 1000 {
				if c := got.From(from); c.SourceIP != from || c.Subject != "bot" {
					t.Errorf("%s calls from %s, want %s", c.Subject, c.SourceIP, from)
				}
			}
		})
	}
	wg.Wait()
	if first.SourceIP != here {
		t.Errorf("the first call comes from %s now", first.SourceIP)
	}
}
