package vaultapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/e2e"
	"portcullis/gateway/vaultapi"
)

// A credential that a login refuses is refused as it is elsewhere: on record, and with
// the challenge.
func TestRefusedLoginsAreOnRecord(t *testing.T) {
	w := newWorld(t, nil)
	for i, body := range []string{`{"role_id":"agent","secret_id":"no such key"}`, fmt.Sprintf(`{"role_id":"agent","secret_id":%q}`, otherKey)} {
		before := len(w.records(t))
		a := w.send(t, "PUT", "auth/approle/login", "", body)
		if a.status != 403 || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%d: got %d %v", i, a.status, a.header)
		}
		w.waitFor(t, "a record of the refusal", func() bool {
			for _, r := range w.records(t)[before:] {
				if strings.Contains(fmt.Sprint(r), "unauthenticated") {
					return true
				}
			}
			return false
		})
	}
}

func (w *world) waitFor(t *testing.T, what string, happened func() bool) {
	t.Helper()
	e2e.Eventually(t, what, happened)
}

// sessions are those of a gateway on which everybody can log in as caller.
func sessions(caller *call.Caller, b *budget.Budgets) *vaultapi.Sessions {
	return &vaultapi.Sessions{
		Login: func(*http.Request) (*call.Caller, error) { return caller, nil },
		Valid: func(*call.Caller) error { return nil }, Budgets: b,
		Resume: func(_ *http.Request, c *call.Caller) (*call.Caller, error) {
			if c == nil {
				return nil, call.Errorf(call.Unauthenticated, "unknown session")
			}
			own := *c
			return &own, nil
		},
	}
}

// No session is made from a credential that needs a proof of its holder's key: it would
// be good without.
func TestSessionsOfBoundTokens(t *testing.T) {
	s := sessions(nil, nil)
	if _, err := vaultapi.Begin(s, &call.Caller{Subject: "bound", JKT: "thumbprint"}, 0); !call.Is(err, call.InvalidRequest) || !strings.Contains(err.Error(), "DPoP") {
		t.Errorf("got %v", err)
	}
	if _, err := vaultapi.Begin(s, &call.Caller{Subject: "bearer"}, 0); err != nil {
		t.Error(err)
	}
}

// What is begun with what was begun with a session, and so on, ends with each of them and
// is not begun without end.
func TestSessionsOfSessions(t *testing.T) {
	s, c := sessions(nil, nil), &call.Caller{Subject: "agent"}
	token, err := vaultapi.Begin(s, c, 0)
	if err != nil {
		t.Fatal(err)
	}
	line := []string{token}
	for err == nil && len(line) < 20 {
		if token, err = vaultapi.BeginWith(s, c, token); err == nil {
			line = append(line, token)
		}
	}
	if len(line) != 9 || !call.Is(err, call.InvalidRequest) {
		t.Errorf("%d sessions deep: %v", len(line), err)
	}
	if err := vaultapi.Revoke(s, line[2]); err != nil {
		t.Fatal(err)
	}
	for i, token := range line {
		if err := known(s, token); (err == nil) != (i < 2) {
			t.Errorf("session %d: %v", i, err)
		}
	}
}

// Sessions count against what a caller may hold, and its oldest one makes room. Where
// everybody's share is used up, there is none.
func TestSessionsTakeOfTheBudget(t *testing.T) {
	table := budget.Defaults()
	table[budget.Sessions] = budget.Limit{Caller: 3, All: 5}
	b := budget.New(table)
	one, two := &call.Caller{Subject: "one"}, &call.Caller{Subject: "two"}
	s := sessions(nil, b)
	var tokens []string
	for range 5 {
		token, err := vaultapi.Begin(s, one, 0)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	if used := b.Used(budget.Sessions); used != 3 {
		t.Errorf("%d sessions are held", used)
	}
	for i, token := range tokens {
		r := httptest.NewRequest("GET", "/v1/auth/token/lookup-self", nil)
		r.Header.Set("X-Vault-Token", token)
		if _, err := s.Authenticate(r); (err == nil) != (i >= 2) {
			t.Errorf("session %d: got %v", i, err)
		}
	}
	for range 2 {
		if _, err := vaultapi.Begin(s, two, time.Hour); err != nil {
			t.Error(err)
		}
	}
	if _, err := vaultapi.Begin(s, &call.Caller{Subject: "three"}, 0); !call.Is(err, call.Overloaded) {
		t.Errorf("got %v", err)
	}
	vaultapi.Sweep(s, time.Now().Add(2*time.Hour))
	if used := b.Used(budget.Sessions); used != 0 {
		t.Errorf("%d sessions that have ended are held", used)
	}
}
