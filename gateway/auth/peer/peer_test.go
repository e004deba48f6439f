package peer_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth/peer"
)

func TestAUnixSocketHasNoAddress(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "@"
	r.Header.Set("X-Forwarded-For", "10.0.0.1")
	if got := (peer.Trust{netip.MustParsePrefix("0.0.0.0/0")}).Source(r); got.IsValid() {
		t.Errorf("got %v", got)
	}
}

func TestHopsAreBounded(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "192.0.2.1:1"
	r.Header.Set("X-Forwarded-For", "203.0.113.1"+strings.Repeat(",192.0.2.1", 1000))
	if got := (peer.Trust{netip.MustParsePrefix("192.0.2.0/24")}).Source(r); got.String() != "192.0.2.1" {
		t.Errorf("got %v, want the last proxy that was looked at", got)
	}
}

func TestFailuresAreForgivenOneByOne(t *testing.T) {
	f, now := peer.NewFailures(60, nil), time.Now()
	a := netip.MustParseAddr("198.51.100.1")
	for range 60 {
		if w := f.Blocked(a, now); w != 0 {
			t.Fatalf("blocked for %v within the limit", w)
		}
		f.Add(a, now)
	}
	for _, step := range []struct{ after, want time.Duration }{{0, time.Second}, {600 * time.Millisecond, 400 * time.Millisecond}, {time.Second, 0}, {time.Hour, 0}} {
		if got := f.Blocked(a, now.Add(step.after)); got != step.want {
			t.Errorf("after %v: got %v, want %v", step.after, got, step.want)
		}
	}
}

func TestOneIPv6HostIsOneSource(t *testing.T) {
	f, now := peer.NewFailures(1, nil), time.Now()
	f.Add(netip.MustParseAddr("2001:db8::1"), now)
	if f.Blocked(netip.MustParseAddr("2001:db8::ffff:1"), now) == 0 {
		t.Error("another address of the /64 is not blocked")
	}
	if f.Blocked(netip.MustParseAddr("2001:db8:0:1::1"), now) != 0 {
		t.Error("another /64 is blocked")
	}
}

func TestNoLimit(t *testing.T) {
	var f *peer.Failures
	f.Add(netip.Addr{}, time.Now())
	if f.Blocked(netip.Addr{}, time.Now()) != 0 {
		t.Error("blocked")
	}
}

func Example() {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "192.0.2.10:443"
	r.Header.Set("X-Forwarded-For", "10.0.0.1, 198.51.100.7")
	fmt.Println(peer.Trust{}.Source(r))
	fmt.Println(peer.Trust{netip.MustParsePrefix("192.0.2.10/32")}.Source(r))
	// Output:
	// 192.0.2.10
	// 198.51.100.7
}

// TestTheSchemeIsATrustedProxysWord: nobody else is believed about it.
func TestTheSchemeIsATrustedProxysWord(t *testing.T) {
	trust := peer.Trust{netip.MustParsePrefix("192.0.2.0/24")}
	for _, c := range []struct {
		from  string
		proto []string
		want  string
	}{
		{"192.0.2.1:1", nil, "http"},
		{"192.0.2.1:1", []string{"https"}, "https"},
		{"192.0.2.1:1", []string{"http, HTTPS"}, "https"},
		{"192.0.2.1:1", []string{"https", "http"}, "http"},
		{"192.0.2.1:1", []string{"gopher"}, "http"},
		{"198.51.100.1:1", []string{"https"}, "http"},
		{"@", []string{"https"}, "http"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.from
		r.Header["X-Forwarded-Proto"] = c.proto
		if got := trust.Scheme(r); got != c.want {
			t.Errorf("%s %q: got %s, want %s", c.from, c.proto, got, c.want)
		}
	}
}
