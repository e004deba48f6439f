package auth_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/auth"
	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

func TestFailuresAreLimitedPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := devConfig(t)
		cfg.FailuresPerMinute = 5
		ch := open(t, cfg)
		try := func(addr, key string) error {
			r := request("X-API-Key: " + key)
			r.RemoteAddr = addr
			_, err := ch.Authenticate(r)
			return err
		}
		for range 20 { // nothing presented is no failure
			r := request()
			r.RemoteAddr = "198.51.100.1:1"
			if _, err := ch.Authenticate(r); !call.Is(err, call.Unauthenticated) {
				t.Fatalf("got %v", err)
			}
		}
		for range 5 {
			if err := try("198.51.100.1:1", "wrong"); !call.Is(err, call.Unauthenticated) {
				t.Fatalf("got %v", err)
			}
		}
		err := try("198.51.100.1:2", "wrong")
		if e := call.AsError(err); e.Code != call.RateLimited || e.RetryAfter != 12*time.Second {
			t.Errorf("got %s, retry after %v", e.Code, e.RetryAfter)
		}
		if err := try("198.51.100.1:3", "dev-api-key"); err != nil {
			t.Errorf("a good key from the address: got %v", err)
		}
		if err := try("198.51.100.2:1", "dev-api-key"); err != nil {
			t.Errorf("another address: %v", err)
		}
		<-time.After(12 * time.Second)
		if err := try("198.51.100.1:1", "dev-api-key"); err != nil {
			t.Errorf("after the wait: %v", err)
		}
	})
}

// TestALimitedAddressCausesNoWork counts the fetches that tokens with unknown keys
// cause.
func TestALimitedAddressCausesNoWork(t *testing.T) {
	issuer := authtest.NewIssuer()
	t.Cleanup(issuer.Close)
	cfg := devConfig(t)
	cfg.FailuresPerMinute = 1
	cfg.JWT = auth.JWT{Enabled: true, JWKSURL: issuer.JWKSURL(), Issuers: []string{"mcp-auth"}, Audiences: []string{"mcp-agents"}}
	ch := open(t, cfg)
	forger := authtest.NewKey("ES256", "x")
	for range 50 {
		if _, err := ch.Authenticate(request("Authorization: Bearer " + forger.Sign(authtest.Claims("bot", nil)))); err == nil {
			t.Fatal("accepted")
		}
	}
	if n := issuer.Fetches.Load(); n != 1 {
		t.Errorf("got %d fetches, want the first token's only", n)
	}
}

// TestS27_ForwardedAddressesAreBelievedFromProxiesOnly sends addresses in every
// header that is known to have been believed somewhere.
func TestS27_ForwardedAddressesAreBelievedFromProxiesOnly(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		peer string
		xff  []string
		want string
	}{
		"a stranger":                 {anyone, []string{"10.0.0.1"}, "203.0.113.7"},
		"a proxy":                    {proxy, []string{"198.51.100.4"}, "198.51.100.4"},
		"the right-most of many":     {proxy, []string{"10.0.0.1, 198.51.100.4"}, "198.51.100.4"},
		"in several headers":         {proxy, []string{"10.0.0.1", "198.51.100.4"}, "198.51.100.4"},
		"through a second proxy":     {proxy, []string{"10.0.0.1, 198.51.100.4, 192.0.2.10"}, "198.51.100.4"},
		"with a port":                {proxy, []string{"198.51.100.4:80"}, "198.51.100.4"},
		"IPv6":                       {proxy, []string{"[2001:db8::1]:80"}, "2001:db8::1"},
		"IPv6 in brackets":           {proxy, []string{"[2001:db8::1]"}, "2001:db8::1"},
		"IPv4 in IPv6":               {proxy, []string{"::ffff:198.51.100.4"}, "198.51.100.4"},
		"proxy as IPv4 in IPv6":      {"[::ffff:192.0.2.10]:1", []string{"198.51.100.4"}, "198.51.100.4"},
		"no header":                  {proxy, nil, "192.0.2.10"},
		"rubbish":                    {proxy, []string{"unknown"}, "192.0.2.10"},
		"rubbish behind an address":  {proxy, []string{"198.51.100.4, evil"}, "192.0.2.10"},
		"rubbish before an address":  {proxy, []string{"evil, 198.51.100.4"}, "198.51.100.4"},
		"nothing between the commas": {proxy, []string{"198.51.100.4,"}, "192.0.2.10"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.get(from(c.peer), header("X-API-Key", apiKey))
			for _, v := range c.xff {
				r.Header.Add("X-Forwarded-For", v)
			}
			for _, h := range []string{"X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "Forwarded", "X-Client-IP", "X-Cluster-Client-IP"} {
				r.Header.Set(h, "10.9.9.9")
			}
			got, err := w.chain.Authenticate(r)
			if err != nil {
				t.Fatal(err)
			}
			if got.SourceIP.String() != c.want {
				t.Errorf("got %s, want %s", got.SourceIP, c.want)
			}
		})
	}
}

// TestS09_CredentialsAreNotLogged looks for what was presented in all that was
// logged and returned.
func TestS09_CredentialsAreNotLogged(t *testing.T) {
	w := newWorld(t)
	var logged bytes.Buffer
	w.cfg.Log = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.cfg.Loopback = true
	w.cfg.APIKeys.JSON = `{"canary-key":"agent_api"}`
	w.cfg.JWT.Secret = "canary-secret"
	ch := open(t, w.cfg)
	expired := w.good(map[string]any{"exp": 1, "canary": "canary-claim"})
	_, _, signature := authtest.Parts(expired)
	canaries := []string{"canary-", signature, signature[:20]}
	for _, change := range []func(*http.Request){
		header("X-API-Key", "canary-wrong"), bearer(expired), header("Authorization", "Basic canary-basic"), bearer("canary-a.canary-b.canary-c"),
		bearer(headed(w.es, map[string]any{"kid": "canary-kid"})), bearer(w.good(map[string]any{"act": "canary-act"})),
		bearer(w.good(map[string]any{"iss": "canary-iss"})), bearer(w.good(map[string]any{"aud": "canary-aud"})),
		bound(w.jkt(), "canary-proof"), with(w.ca.Client("canary/cn", nil)),
		func(r *http.Request) {
			r.RemoteAddr = proxy
			r.Header.Set("X-SSL-Client-S-DN", `CN="canary-dn"`)
			r.Header.Set("X-SSL-Client-Verify", "SUCCESS")
		},
	} {
		_, err := ch.Authenticate(w.get(change))
		if err == nil {
			t.Fatal("accepted")
		}
		fmt.Fprintln(&logged, err)
	}
	for _, c := range canaries {
		if strings.Contains(logged.String(), c) {
			t.Errorf("%q was logged or returned:\n%s", c, logged.String())
		}
	}
	if !strings.Contains(logged.String(), string(rule.Expired)) {
		t.Error("the rules are not in it")
	}
}
