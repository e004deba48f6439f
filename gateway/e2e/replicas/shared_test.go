package replicas_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
)

// TestAnyReplicaServesWhatAnotherHasBegun: sessions of the Vault API and decisions.
func TestAnyReplicaServesWhatAnotherHasBegun(t *testing.T) {
	w := start(t, "{}", `API_KEYS_JSON={"`+e2e.Key+`":"agent_api","another-key-of-tests":"another"}`)
	t.Run("sessions", w.shareSessions)
	t.Run("decisions", w.shareDecisions)
}

// shareDecisions: a decision of any replica is explained by all, to its caller and nobody else,
// also when the replica that made it was killed.
func (w *world) shareDecisions(t *testing.T) {
	ids := map[*replica]string{}
	for _, r := range w.replicas {
		a := ask(t, "GET", r.URL+"/kv/secret/not/mine", "")
		var denied struct {
			Error struct {
				ID string `json:"decision_id"`
			} `json:"error"`
		}
		if err := json.Unmarshal([]byte(a.body), &denied); err != nil || denied.Error.ID == "" || a.status != http.StatusForbidden {
			t.Fatalf("%d %s", a.status, a.body)
		}
		ids[r] = denied.Error.ID
	}
	for _, id := range ids {
		for i, r := range w.replicas {
			e2e.Eventually(t, "explained", func() bool { return ask(t, "GET", r.URL+"/decisions/"+id, "").status == http.StatusOK })
			if a := ask(t, "GET", r.URL+"/decisions/"+id, ""); !strings.Contains(a.body, id) || !strings.Contains(a.body, "not/mine") {
				t.Errorf("at %d: %d %s", i, a.status, a.body)
			}
			other := "z"
			if id[12] == 'z' {
				other = "y"
			}
			for what, a := range map[string]answer{
				"somebody else's": ask(t, "GET", r.URL+"/decisions/"+id, "", "X-API-Key: another-key-of-tests"),
				"one that is not": ask(t, "GET", r.URL+"/decisions/"+id[:12]+other+id[13:], ""),
				"one of long ago": ask(t, "GET", r.URL+"/decisions/00"+id[2:], ""),
			} {
				if a.status != http.StatusNotFound {
					t.Errorf("%s at %d: %d %s", what, i, a.status, a.body)
				}
			}
		}
	}
	last := w.replicas[2]
	if err := last.Kill(); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, "GET", w.replicas[0].URL+"/decisions/"+ids[last], ""); a.status != http.StatusOK || !strings.Contains(a.body, "not/mine") {
		t.Errorf("of a replica that was killed: %d %s", a.status, a.body)
	}
	if err := w.redis.Kill(); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, "GET", w.replicas[0].URL+"/decisions/"+ids[w.replicas[1]], ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("without Redis: %d %s", a.status, a.body)
	}
}

// shareSessions: one is begun at a replica, used and prolonged at all, ended at a third.
func (w *world) shareSessions(t *testing.T) {
	vault := func(i int, method, path, token, body string) answer {
		return ask(t, method, w.replicas[i].URL+"/v1/"+path, body, "X-API-Key: ", "X-Vault-Token: "+token)
	}
	begun := vault(0, "POST", "auth/token/create", e2e.Key, "{}")
	var login struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	if err := json.Unmarshal([]byte(begun.body), &login); err != nil || !strings.HasPrefix(login.Auth.Token, "pcs.") {
		t.Fatalf("%d %s", begun.status, begun.body)
	}
	for i := range w.replicas {
		for _, step := range [][3]string{
			{"POST", "secret/data/mcp/agent_api/a", fmt.Sprintf(`{"data":{"at":"%d"}}`, i)},
			{"GET", "auth/token/lookup-self", ""},
			{"POST", "auth/token/renew-self", "{}"},
		} {
			if a := vault(i, step[0], step[1], login.Auth.Token, step[2]); a.status != http.StatusOK {
				t.Errorf("%s at %d: %d %s", step[1], i, a.status, a.body)
			}
		}
	}
	if a := vault(2, "POST", "auth/token/revoke-self", login.Auth.Token, "{}"); a.status != http.StatusNoContent {
		t.Errorf("revoke: %d %s", a.status, a.body)
	}
	for i := range w.replicas {
		if a := vault(i, "GET", "auth/token/lookup-self", login.Auth.Token, ""); a.status != http.StatusForbidden {
			t.Errorf("revoked, at %d: %d %s", i, a.status, a.body)
		}
	}
}
