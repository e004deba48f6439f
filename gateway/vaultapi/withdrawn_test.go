package vaultapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"portcullis/gateway/vault/vaulttest"
)

// held is a way to a Vault on which the answers to one path wait.
type held struct {
	url      string
	arrived  chan bool // Vault has answered
	released chan bool
}

func hold(t *testing.T, v *vaulttest.Vault, path string) *held {
	t.Helper()
	h := &held{arrived: make(chan bool, 1), released: make(chan bool, 1)}
	target, err := url.Parse(v.Addr)
	if err != nil {
		t.Fatal(err)
	}
	way := httputil.NewSingleHostReverseProxy(target)
	way.ModifyResponse = func(r *http.Response) error {
		if r.Request.URL.Path == path {
			h.arrived <- true
			<-h.released
		}
		return nil
	}
	s := httptest.NewServer(way)
	t.Cleanup(s.Close)
	h.url = s.URL
	return h
}

// TestARevokedSessionGetsNoAnswer that Vault gives afterwards: neither its own call, nor
// that of a session which was begun with it.
func TestARevokedSessionGetsNoAnswer(t *testing.T) {
	w := &world{dir: t.TempDir(), vault: vaulttest.Start(t)}
	way := hold(t, w.vault, "/v1/secret/data/mcp/agent/app")
	w.begin(t, map[string]string{"VAULT_ADDR": way.url})
	w.vault.Write("secret/data/mcp/agent/app", map[string]any{"data": map[string]string{"in": "it"}})
	login := func() string { return w.token(t, w.send(t, "PUT", "auth/token/create", agentKey, "{}")) }
	for name, revoke := range map[string]func(t *testing.T, parent, own string){
		"own":    func(t *testing.T, _, own string) { t.Helper(); w.revoke(t, own) },
		"parent": func(t *testing.T, parent, _ string) { t.Helper(); w.revoke(t, parent) },
		"none":   func(*testing.T, string, string) {},
	} {
		t.Run(name, func(t *testing.T) {
			parent := login()
			own := w.token(t, w.send(t, "PUT", "auth/token/create", parent, "{}"))
			got := make(chan answer, 1)
			go func() {
				a, err := w.try(t, "GET", "secret/data/mcp/agent/app", own, "")
				if err != nil {
					t.Error(err)
				}
				got <- a
			}()
			<-way.arrived
			revoke(t, parent, own)
			way.released <- true
			a := <-got
			if name == "none" && a.status != 200 || name != "none" && (a.status != 403 || a.body["data"] != nil) {
				t.Errorf("got %d %v", a.status, a.body)
			}
		})
	}
}

// token is the token of a session that was begun.
func (w *world) token(t *testing.T, a answer) string {
	t.Helper()
	auth, _ := a.body["auth"].(map[string]any)
	token, _ := auth["client_token"].(string)
	if a.status != 200 || token == "" {
		t.Fatalf("no session: %d %v", a.status, a.body)
	}
	return token
}

func (w *world) revoke(t *testing.T, token string) {
	t.Helper()
	if a := w.send(t, "PUT", "auth/token/revoke-self", token, "{}"); a.status != 204 {
		t.Fatalf("revoke: got %d %v", a.status, a.body)
	}
}
