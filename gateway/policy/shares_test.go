package policy_test

import (
	"fmt"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/policy"
)

// TestOneCallerPushesOutItsOwnDecisions: whoever is decided on very often leaves the
// others theirs to be explained, and has its newest.
func TestOneCallerPushesOutItsOwnDecisions(t *testing.T) {
	e := open(t, policy.Config{Keep: 512})
	decide := func(subject string) string {
		c := agent(t, "read")
		c.Subject = subject
		return e.Decide(t.Context(), bind(t, c, "kv.read", `{"path":"app"}`)).ID
	}
	explained := func(subject, id string) bool {
		_, err := e.Explain(t.Context(), &call.Caller{Subject: subject}, id)
		return err == nil
	}
	mine := decide("x")
	var last string
	for range 2000 {
		last = decide("y")
	}
	if !explained("x", mine) {
		t.Error("another caller's decision was pushed out")
	}
	if !explained("y", last) {
		t.Error("the newest decision is not kept")
	}
	for i := range 20 {
		for range 64 {
			decide(fmt.Sprint("z", i))
		}
	}
	if explained("x", mine) {
		t.Error("1,280 decisions of twenty others fit into 512 places")
	}
}
