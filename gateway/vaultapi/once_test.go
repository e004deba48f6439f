package vaultapi_test

import "testing"

// TestAHeaderThatIsThereTwiceIsRefused: none of two is taken for what is asked, and a session
// is not given out in the clear to whoever has asked for it wrapped, in whatever words.
func TestAHeaderThatIsThereTwiceIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	const secret, login = "secret/data/mcp/agent/twice", `{"role_id":"agent","secret_id":"` + agentKey + `"}`
	if a := w.send(t, "POST", secret, agentKey, `{"data":{"a":"1"}}`); a.status != 200 {
		t.Fatal(a)
	}
	for _, headers := range [][]string{
		{"X-Vault-Wrap-TTL: 0", "X-Vault-Wrap-TTL: 60"}, {"X-Vault-Wrap-TTL: ", "X-Vault-Wrap-TTL: 60"}, {"X-Vault-Namespace: root", "X-Vault-Namespace: team"},
	} {
		if a := w.send(t, "GET", secret, agentKey, "", headers...); a.status != 400 {
			t.Errorf("%q: got %d %v", headers, a.status, a.body)
		}
	}
	for _, ttl := range []string{"60", "25h", "soon"} {
		if a := w.send(t, "POST", "auth/approle/login", "", login, "X-Vault-Wrap-TTL: "+ttl); a.status != 400 {
			t.Errorf("a login that asks for %s: got %d %v", ttl, a.status, a.body)
		}
	}
}
