package auth_test

import (
	"testing"
	"time"

	"portcullis/gateway/auth/deny"
	"portcullis/gateway/call"
)

func TestRevoked(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(*world)
		c    call.Caller
		want bool
	}{
		"nothing happened":    {do: func(*world) {}},
		"on the deny list":    {do: func(w *world) { w.revoke(deny.Entry{Subject: "bot"}) }, want: true},
		"somebody else is":    {do: func(w *world) { w.revoke(deny.Entry{Subject: "other"}) }},
		"token came to end":   {do: func(*world) {}, c: call.Caller{Method: call.JWT, Expires: time.Now().Add(-time.Hour)}},
		"API key is gone":     {do: func(*world) {}, c: call.Caller{Method: call.APIKey, KeyID: "gone"}, want: true},
		"API key came to end": {do: func(*world) {}, c: call.Caller{Method: call.APIKey, KeyID: "gone", Expires: time.Now().Add(-time.Hour)}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tc.do(w)
			tc.c.Subject = "bot"
			if got := w.chain.Revoked(&tc.c); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			if err := w.chain.Withdrawn(&tc.c); (err != nil) != tc.want || err != nil && !call.Is(err, call.Unauthenticated) {
				t.Errorf("under way: got %v, want an error %v", err, tc.want)
			}
			agent := call.Caller{Subject: "agent", Behalf: &tc.c}
			if err := w.chain.Withdrawn(&agent); (err != nil) != tc.want {
				t.Errorf("on its behalf: got %v, want an error %v", err, tc.want)
			}
		})
	}
}
