package keyset_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/auth/keyset"
	"portcullis/gateway/auth/rule"
)

// TestWhereADiscoveryDocumentLeads: keys of an issuer that is asked over https are never
// fetched without it, and what a document says is not repeated at any length.
func TestWhereADiscoveryDocumentLeads(t *testing.T) {
	const name = "https://issuer.test"
	k := authtest.NewKey("ES256", "k")
	for what, c := range map[string]struct {
		issuer, keys string
		good         bool
	}{
		"https":             {name, name + "/jwks", true},
		"http of this host": {name, "http://127.0.0.1:8200/jwks", false},
		"a long issuer":     {strings.Repeat("x", 900_000), name + "/jwks", false},
		"a long address":    {name, name + "/" + strings.Repeat("x", 900_000), false},
	} {
		t.Run(what, func(t *testing.T) {
			doc, err := json.Marshal(map[string]string{"issuer": c.issuer, "jwks_uri": c.keys})
			if err != nil {
				t.Fatal(err)
			}
			s := source(t, keyset.Options{Issuer: name, Client: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				body := string(authtest.JWKS(k))
				if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
					body = string(doc)
				}
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
			})}})
			_, _, err = s.Verify(t.Context(), token(t, k), keyset.Patient)
			if c.good != (err == nil) || err != nil && (!errors.Is(err, rule.KeyID) || len(err.Error()) > 10_000) {
				t.Errorf("got %.300v", err)
			}
		})
	}
}

// TestAfterAFetchThatPanicsThereIsAnother: what makes one fetch of keys panic is not the
// end of fetching.
func TestAfterAFetchThatPanicsThereIsAnother(t *testing.T) {
	k := authtest.NewKey("ES256", "k")
	n := 0
	s := source(t, keyset.Options{URL: "https://issuer.test/jwks", Client: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
		if n++; n == 1 {
			panic("a fault")
		}
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(authtest.JWKS(k))))}, nil
	})}})
	s.Refresh(t.Context())
	s.Refresh(t.Context())
	if _, _, err := s.Verify(t.Context(), token(t, k), keyset.Patient); err != nil {
		t.Errorf("got %v", err)
	}
}
