package callers_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// TestARevokedCallersPoliciesAreNotWrittenAgain: neither by a call of before that Vault
// denies now, nor by whoever has begun to look after the caller.
func TestARevokedCallersPoliciesAreNotWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text, writes := "old", 0
		send := func(_ context.Context, r wire.Request, a *wire.Answer) error {
			reply := `{"request_id":"1","auth":{"client_token":"t","accessor":"a","lease_duration":90}}`
			if strings.HasPrefix(r.Path, "sys/policies/acl/") {
				if reply = `{"request_id":"1","data":{"policy":""}}`; r.Method == wire.Put {
					writes++
				}
			}
			if a == nil {
				return nil
			}
			return json.Unmarshal([]byte(reply), a)
		}
		r := callers.New(callers.Config{Enabled: true, PolicyFor: func(*call.Caller, string) (callers.Policies, error) {
			return callers.Policies{Subject: text}, nil
		}}, callers.Backend{Send: send, Timeout: time.Minute, RegisterToken: func(context.Context, string, tokencache.Token) error { return nil }})
		c := &call.Caller{Subject: "agent"}
		s := r.Of(c)
		if _, err := s.TokenSource(c, "", false).Token(t.Context()); err != nil || writes != 1 {
			t.Fatalf("%d policies were written, %v", writes, err)
		}
		text = "new"
		if err := s.ReconcilePolicies(t.Context()); err != nil || writes != 2 {
			t.Fatalf("%d policies were written, %v", writes, err)
		}
		s.Close()
		text = "newer"
		if err := s.ReconcilePolicies(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute) // Vault is not asked again before
		if s.RepairPolicies(t.Context(), c, "", time.Now()) {
			t.Error("the request is sent again")
		}
		if writes != 2 {
			t.Errorf("%d policies were written of a revoked caller", writes-2)
		}
	})
}
