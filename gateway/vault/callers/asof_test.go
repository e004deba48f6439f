package callers_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// Rights are worked out again when they may be others, and not each time that a caller is
// looked after: of ten thousand callers that would be all that the gateway does.
func TestRightsAreWorkedOutWhenTheyMayBeOthers(t *testing.T) {
	asked, asOf := 0, "1"
	send := func(_ context.Context, _ wire.Request, a *wire.Answer) error {
		if a == nil {
			return nil
		}
		return json.Unmarshal([]byte(`{"request_id":"1","data":{"policy":"text"},"auth":{"client_token":"t","accessor":"a","lease_duration":90}}`), a)
	}
	r := callers.New(callers.Config{
		Enabled: true, AsOf: func() string { return asOf },
		PolicyFor: func(*call.Caller, string) (callers.Policies, error) {
			asked++
			return callers.Policies{Subject: "text"}, nil
		},
	}, callers.Backend{Send: send, Timeout: time.Minute, RegisterToken: func(context.Context, string, tokencache.Token) error { return nil }})
	s := r.Of(&call.Caller{Subject: "agent"})
	if _, err := s.TokenSource(&call.Caller{Subject: "agent"}, "", false).Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		asOf string
		want int
	}{{"1", 1}, {"1", 1}, {"2", 2}, {"2", 2}, {"1", 3}, {"", 4}, {"", 5}} {
		asOf = step.asOf
		if err := s.ReconcilePolicies(t.Context()); err != nil {
			t.Fatal(err)
		}
		if asked != step.want {
			t.Errorf("as of %q: asked %d times, want %d", asOf, asked, step.want)
		}
	}
}
