package auth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"portcullis/gateway/auth"
	"portcullis/gateway/call"
)

func fetch(t *testing.T, h http.HandlerFunc, url string) (int, map[string]any) {
	t.Helper()
	rec := httptest.NewRecorder()
	h(rec, httptest.NewRequest("GET", url, nil))
	var doc map[string]any
	if rec.Code == http.StatusOK {
		if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
	}
	return rec.Code, doc
}

// TestResourceMetadata holds the documents to RFC 9728 section 3.3: the resource
// is the address that the document's own address was made from.
func TestResourceMetadata(t *testing.T) {
	cfg := devConfig(t)
	cfg.PublicURL = "https://gw.test/"
	cfg.OAuth = auth.OAuth{Issuer: "https://issuer.test", Docs: "https://docs.test"}
	ch := open(t, cfg)
	for path, want := range map[string]string{"": "https://gw.test", "/mcp": "https://gw.test/mcp", "/mcp/rpc": "https://gw.test/mcp/rpc"} {
		code, doc := fetch(t, ch.ServeResourceMetadata, "http://10.0.0.1"+auth.MetadataPath+path)
		if code != http.StatusOK || doc["resource"] != want {
			t.Errorf("%s: got %d, %v, want %s", path, code, doc["resource"], want)
		}
		if s := doc["authorization_servers"].([]any); len(s) != 1 || s[0] != "https://issuer.test" {
			t.Errorf("%s: got servers %v", path, s)
		}
		if m := doc["bearer_methods_supported"].([]any); len(m) != 1 || m[0] != "header" {
			t.Errorf("%s: got methods %v", path, m)
		}
	}
	for _, path := range []string{"/secrets", "/mcp/x", "/..", "x"} {
		if code, _ := fetch(t, ch.ServeResourceMetadata, "http://gw.test"+auth.MetadataPath+path); code != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, code)
		}
	}
}

func TestServerMetadata(t *testing.T) {
	cfg := devConfig(t)
	if code, _ := fetch(t, open(t, cfg).ServeServerMetadata, "http://gw.test"); code != http.StatusNotFound {
		t.Errorf("not configured: got %d, want 404", code)
	}
	cfg.OAuth = auth.OAuth{Issuer: "https://issuer.test", AuthorizationEndpoint: "https://issuer.test/a", TokenEndpoint: "https://issuer.test/t", JWKSURL: "https://issuer.test/j"}
	_, doc := fetch(t, open(t, cfg).ServeServerMetadata, "http://gw.test")
	for name, want := range map[string]string{"issuer": "https://issuer.test", "authorization_endpoint": "https://issuer.test/a", "token_endpoint": "https://issuer.test/t", "jwks_uri": "https://issuer.test/j"} {
		if doc[name] != want {
			t.Errorf("%s: got %v, want %s", name, doc[name], want)
		}
	}
}

func TestChallenges(t *testing.T) {
	cfg := devConfig(t) // no PUBLIC_URL: the address is the request's
	cfg.OAuth.Issuer = "https://issuer.test"
	ch := open(t, cfg)
	meta := `resource_metadata="http://gw.test/.well-known/oauth-protected-resource`
	for name, c := range map[string]struct {
		err      *call.Error
		resource string
		want     string
	}{
		"step-up":            {&call.Error{Code: call.InsufficientScope, Scopes: []string{"read", "write"}}, "/mcp", `Bearer ` + meta + `/mcp", error="insufficient_scope", scope="read write"`},
		"scope with a quote": {&call.Error{Code: call.InsufficientScope, Scopes: []string{`a" b`}}, "", `Bearer ` + meta + `", error="insufficient_scope"`},
		"not about this":     {&call.Error{Code: call.Forbidden}, "", ""},
		"limited":            {&call.Error{Code: call.RateLimited}, "", ""},
		"no error":           {nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ch.Challenge(request(), c.err, c.resource); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	r := request()
	r.Host = `evil", error="x`
	if got, want := ch.Challenge(r, &call.Error{Code: call.InsufficientScope}, ""), `Bearer resource_metadata="http://localhost/.well-known/oauth-protected-resource", error="insufficient_scope"`; got != want {
		t.Errorf("a Host header that breaks out: got %s", got)
	}
}

// TestNobodyIsSentToLogInWhereNobodyCan: without an authorization server neither the
// challenge nor a document says that there is one to be searched for.
func TestNobodyIsSentToLogInWhereNobodyCan(t *testing.T) {
	keys := devConfig(t)
	tokens := devConfig(t)
	tokens.JWT = auth.JWT{Enabled: true, Secret: "obviously-fake-obviously-fake-obviously", Issuers: []string{"mcp-auth"}, Audiences: []string{"a"}}
	for name, c := range map[string]struct {
		cfg    auth.Config
		header string
		want   string
	}{
		"wrong key":           {keys, "X-API-Key: wrong", `ApiKey realm="portcullis", error="invalid_token", error_description="unknown key"`},
		"wrong key as bearer": {keys, "Authorization: Bearer wrong", `ApiKey realm="portcullis", error="invalid_token", error_description="unknown key"`},
		"nothing":             {keys, "X: y", `ApiKey realm="portcullis"`},
		"nothing, tokens":     {tokens, "X: y", `Bearer realm="portcullis"`},
	} {
		ch, r := open(t, c.cfg), request(c.header)
		_, err := ch.Authenticate(r)
		if got := ch.Challenge(r, call.AsError(err), "/mcp"); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
		if code, _ := fetch(t, ch.ServeResourceMetadata, "http://gw.test"+auth.MetadataPath+"/mcp"); code != http.StatusNotFound {
			t.Errorf("%s: the document: got %d, want 404", name, code)
		}
	}
}
