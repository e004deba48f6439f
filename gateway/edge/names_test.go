package edge_test

import (
	"fmt"
	"net/http"
	"testing"

	"portcullis/gateway/edge"
)

// TestProbesAnswerWhateverTheHost: a balancer's probe names the replica's address.
// Calls are refused for the same Host.
func TestProbesAnswerWhateverTheHost(t *testing.T) {
	for _, loopback := range []bool{false, true} {
		e := newEdge(func(c *edge.Config) { c.Loopback, c.AllowedHosts = loopback, []string{"gw.example.com"} })
		e.Probe("/readyz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ready") })
		for _, host := range []string{"10.42.0.17:8089", "[2001:db8::1]:8089", "pod.internal", "GW.example.com.", ""} {
			for _, method := range []string{"GET", "HEAD"} {
				if w := do(e, method, "/readyz", "Host", host); w.Code != 200 {
					t.Errorf("loopback %v, Host %q: %s of a probe got %d, want 200", loopback, host, method, w.Code)
				}
			}
			want := 403
			if host == "GW.example.com." {
				want = 200
			}
			if w := do(e, "GET", "/secrets/a", "Host", host); w.Code != want {
				t.Errorf("loopback %v, Host %q: a call got %d, want %d", loopback, host, w.Code, want)
			}
		}
	}
}

func TestWildcardHosts(t *testing.T) {
	e := newEdge(func(c *edge.Config) { c.Loopback, c.AllowedHosts = false, []string{"*.example.com"} })
	for host, want := range map[string]int{
		"gw.example.com": 200, "a.b.example.com:8089": 200, "GW.EXAMPLE.COM": 200,
		"example.com": 403, ".example.com": 403, "gwexample.com": 403, "gw.example.com.evil.example": 403,
	} {
		if w := do(e, "GET", "/secrets/a", "Host", host); w.Code != want {
			t.Errorf("%s: got %d, want %d", host, w.Code, want)
		}
	}
}

// TestHostProvesNothingAboutAnOrigin: a page whose name was bound anew to the
// gateway's address sends its own name as both.
func TestHostProvesNothingAboutAnOrigin(t *testing.T) {
	open := newEdge(func(c *edge.Config) { c.Loopback, c.Origins = false, nil })
	for _, host := range []string{"evil.example", "10.0.0.5:8089", "127.0.0.1:8089", "localhost"} {
		w := do(open, "GET", "/secrets/a", "Host", host, "Origin", "http://"+host)
		if w.Code != 403 || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("Host and Origin %s: got %d, want 403", host, w.Code)
		}
		if w := do(open, "GET", "/secrets/a", "Host", host); w.Code != 200 {
			t.Errorf("Host %s without an Origin: got %d, want 200", host, w.Code)
		}
	}
}

// TestTheGatewaysOwnOrigin is what PUBLIC_URL, or a trusted proxy's word and a
// configured Host say it is.
func TestTheGatewaysOwnOrigin(t *testing.T) {
	behind := func(c *edge.Config) {
		c.Loopback, c.AllowedHosts = true, []string{"gw.example.com"}
		c.Scheme = func(r *http.Request) string {
			if p := r.Header.Get("X-Forwarded-Proto"); p != "" {
				return p
			}
			return "http"
		}
	}
	for name, c := range map[string]struct {
		change func(*edge.Config)
		header []string
		want   int
	}{
		"PUBLIC_URL":                      {func(c *edge.Config) { c.PublicURL = "https://gw.example.com/base" }, []string{"Origin", "https://gw.example.com"}, 200},
		"PUBLIC_URL, default port":        {func(c *edge.Config) { c.PublicURL = "https://GW.example.com:443" }, []string{"Origin", "https://gw.example.com"}, 200},
		"PUBLIC_URL, another scheme":      {func(c *edge.Config) { c.PublicURL = "https://gw.example.com" }, []string{"Origin", "http://gw.example.com"}, 403},
		"PUBLIC_URL, another port":        {func(c *edge.Config) { c.PublicURL = "https://gw.example.com" }, []string{"Origin", "https://gw.example.com:8443"}, 403},
		"proxy":                           {behind, []string{"Host", "gw.example.com", "Origin", "https://gw.example.com", "X-Forwarded-Proto", "https"}, 200},
		"proxy, Host that is not named":   {behind, []string{"Host", "127.0.0.1", "Origin", "https://evil.example", "X-Forwarded-Proto", "https"}, 403},
		"proxy that says nothing":         {behind, []string{"Host", "gw.example.com", "Origin", "https://gw.example.com"}, 403},
		"configured, other spelling":      {func(c *edge.Config) { c.Origins = []string{"https://app.example"} }, []string{"Origin", "https://APP.example:443"}, 200},
		"opaque":                          {func(c *edge.Config) { c.Origins = []string{"null"} }, []string{"Origin", "null"}, 403},
		"loopback name, another listener": {nil, []string{"Origin", "http://localhost:3000"}, 403},
	} {
		if w := do(newEdge(c.change), "GET", "/secrets/a", c.header...); w.Code != c.want {
			t.Errorf("%s: got %d, want %d", name, w.Code, c.want)
		}
	}
}
