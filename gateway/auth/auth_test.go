package auth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"portcullis/gateway/auth"
	"portcullis/gateway/call"
)

// path is a clean path of a test's own making.
func path(t testing.TB, s string) call.Path {
	t.Helper()
	p, err := call.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// devConfig accepts the development key.
func devConfig(t testing.TB) auth.Config {
	return auth.Config{
		DefaultPrefix: path(t, "mcp"), Loopback: true,
		APIKeys: auth.APIKeys{Enabled: true, JSON: `{"dev-api-key":"agent_api"}`},
	}
}

func open(t testing.TB, cfg auth.Config) *auth.Authenticator {
	t.Helper()
	ch, err := auth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// request makes a request with headers given as "Name: value".
func request(headers ...string) *http.Request {
	r := httptest.NewRequest("GET", "http://gw.test/whoami", nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestAPIKeyFromConfiguration(t *testing.T) {
	c, err := open(t, devConfig(t)).Authenticate(request("X-API-Key: dev-api-key"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "agent_api" || c.Prefix.String() != "mcp/agent_api" || c.Method != call.APIKey {
		t.Errorf("got %+v", c)
	}
	for _, s := range []string{"read", "write", "delete", "list"} {
		if !c.HasScope(s) {
			t.Errorf("scope %s is missing", s)
		}
	}
	if want := netip.MustParseAddr("192.0.2.1"); c.SourceIP != want {
		t.Errorf("got source %v, want %v", c.SourceIP, want)
	}
}

func TestTwoCredentialsAreAmbiguous(t *testing.T) {
	ch := open(t, devConfig(t))
	for name, headers := range map[string][]string{
		"both":             {"X-API-Key: dev-api-key", "Authorization: Bearer x"},
		"both, one empty":  {"X-API-Key: dev-api-key", "Authorization: "},
		"the same key":     {"X-API-Key: dev-api-key", "X-API-Key: dev-api-key"},
		"two tokens":       {"Authorization: Bearer x", "Authorization: Bearer x"},
		"in another case":  {"x-api-key: dev-api-key", "X-API-KEY: dev-api-key"},
		"a key and a void": {"X-API-Key: ", "X-API-Key: dev-api-key"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ch.Authenticate(request(headers...)); !call.Is(err, call.AmbiguousCredentials) {
				t.Errorf("got %v, want %s", err, call.AmbiguousCredentials)
			}
		})
	}
}

func TestEveryProblemOfTheConfigurationIsListed(t *testing.T) {
	cfg := devConfig(t)
	cfg.Loopback = false
	cfg.APIKeys.JSON = `{"short":"a","":"b","also-short":"../c"}`
	_, err := auth.New(cfg)
	if err == nil {
		t.Fatal("got a chain, want the problems")
	}
	for _, want := range []string{`"a" is shorter`, `"b" is blank`, `"../c" is shorter`, `"../c": name.unsafe`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "also-short") {
		t.Errorf("the key itself is in %v", err)
	}
}

func Example() {
	prefix, _ := call.ParsePath("mcp")
	chain, err := auth.New(auth.Config{
		DefaultPrefix: prefix,
		Loopback:      true,
		APIKeys:       auth.APIKeys{Enabled: true, JSON: `{"dev-api-key":"agent_api"}`},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("GET", "/whoami", nil)
	_, err = chain.Authenticate(r)
	fmt.Println(call.AsError(err).Code)
	r.Header.Set("X-API-Key", "dev-api-key")
	c, _ := chain.Authenticate(r)
	fmt.Println(c.Subject, c.Prefix, c.Method)
	// Output:
	// unauthenticated
	// agent_api mcp/agent_api api_key
}
