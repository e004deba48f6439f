package vault_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// TestLivesThatCannotBe: a token that Vault says lives for less than nothing, or for so
// long that times cannot be reckoned with, is none, and calls alone fail for it.
func TestLivesThatCannotBe(t *testing.T) {
	for _, life := range []string{"-1", "-9223372036854775808", "9223372036", "18446744074", "9223372036854775807"} {
		t.Run(life, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/login"):
					_, _ = fmt.Fprintf(w, `{"request_id":"1","auth":{"client_token":"t","accessor":"a","renewable":true,"lease_duration":%s}}`, life)
				case strings.HasSuffix(r.URL.Path, "/lookup-self"):
					_, _ = fmt.Fprintf(w, `{"request_id":"1","data":{"accessor":"a","renewable":true,"ttl":%s}}`, life)
				case r.URL.Path == "/v1/sys/health":
					_, _ = io.WriteString(w, `{"initialized":true,"sealed":false}`)
				default:
					_, _ = io.WriteString(w, answer)
				}
			}))
			t.Cleanup(srv.Close)
			cl := newClient(t, vault.Config{Addr: srv.URL, Login: vault.Login{RoleID: "r", SecretID: "s"}})
			if _, err := read(t, cl, caller("a")); !call.Is(err, call.VaultAuth) {
				t.Errorf("a login: got %v, want vault_auth", err)
			}
			cl = newClient(t, vault.Config{Addr: srv.URL, Login: vault.Login{Token: "own"}})
			if err := cl.Ready(t.Context()); !call.Is(err, call.VaultError) {
				t.Errorf("the gateway's own token: got %v, want vault_error", err)
			}
		})
	}
}
