package server_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"portcullis/gateway/config"
	"portcullis/gateway/server"
)

// TestDoctorKnowsWhatIsNoVault: a page, a redirect or nothing in the place of what Vault says of
// itself is no Vault that is reachable and unsealed.
func TestDoctorKnowsWhatIsNoVault(t *testing.T) {
	for body, c := range map[string]struct {
		status int
		want   string
	}{
		`{"initialized":true,"sealed":false,"standby":true}`: {200, "ok"},
		`{"initialized":true,"sealed":true}`:                 {503, "failed"},
		`<html>welcome</html>`:                               {200, "failed"},
		`{}`:                                                 {200, "failed"},
		`{"initialized":true}`:                               {307, "failed"},
		``:                                                   {200, "failed"},
	} {
		there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(body))
		}))
		cfg := config.Default()
		cfg.VaultAddr, cfg.VaultToken = there.URL, "obviously-fake"
		for _, f := range server.Doctor(t.Context(), cfg) {
			if f.Check == "vault" && f.State != c.want {
				t.Errorf("%d %s: got %s, %s", c.status, body, f.State, f.Detail)
			}
		}
		there.Close()
	}
}
