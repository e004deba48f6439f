package auth_test

import (
	"testing"
	"time"

	"portcullis/gateway/auth"
	"portcullis/gateway/auth/deny"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// A caller with a second credential is one as long as both are good.
func TestBothCredentialsMustHold(t *testing.T) {
	w := newWorld(t)
	soon := time.Now().Add(time.Minute).Truncate(time.Second)
	alice := w.good(map[string]any{"sub": "alice", "jti": "second", "exp": soon.Unix()})
	r := w.get(header("X-API-Key", "fake-api-key-of-agent-api-000001"), header(auth.BehalfHeader, "Bearer "+alice))
	c, err := w.chain.Authenticate(r)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "agent_api" || c.Behalf == nil || c.Behalf.Subject != "alice" || c.Expires.Before(soon) || c.Expires.After(soon.Add(time.Hour)) {
		t.Errorf("got %+v", c)
	}
	if r.Header.Get(auth.BehalfHeader) != "" {
		t.Error("the second credential goes on")
	}
	if err := w.chain.Valid(c); err != nil {
		t.Error(err)
	}
	w.revoke(deny.Entry{TokenID: "second"})
	if err := w.chain.Valid(c); rule.Of(err) != rule.Denied {
		t.Errorf("revoked: got %v", err)
	}
	alone, err := w.chain.Authenticate(w.get(header("X-API-Key", "fake-api-key-of-agent-api-000001")))
	if err != nil || alone.Behalf != nil || w.chain.Valid(alone) != nil {
		t.Errorf("the caller alone: got %+v, %v", alone, err)
	}
	if _, err := w.chain.Resume(w.get(header(auth.BehalfHeader, "Bearer "+w.good(map[string]any{"sub": "bob"}))), c); !call.Is(err, call.Unauthenticated) {
		t.Errorf("the session of a revoked one: got %v", err)
	}
}
