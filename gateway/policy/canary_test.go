package policy_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/policy"
)

// refused are the callers, of a hundred, to whom a policy refuses their own secret.
func refused(t *testing.T, e *policy.Engine, wait func()) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for i := range 100 {
		c := agent(t)
		c.Subject = fmt.Sprintf("agent%d", i)
		c.Prefix = path(t, "mcp/"+c.Subject)
		if d := e.Decide(t.Context(), bind(t, c, "kv.read", `{"path":"a"}`)); !d.Allow {
			out[c.Subject] = true
		}
		if wait != nil {
			wait()
		}
	}
	return out
}

// A candidate decides for its share of the callers, always the same ones, and returns
// when it refuses what the active policy allows; a new candidate begins anew.
func TestACanaryDecidesForItsShareAndReturns(t *testing.T) {
	strict := refuses("{}", `input.action.effect == "read"`, `{"action": {"engine": "kv", "effect": "read"}}`)
	candidate, cat := team(t, strict), catalogue(t)
	config := policy.Config{Shadow: candidate, Canary: 30, Catalogue: cat, Timeout: time.Minute}
	synctest.Test(t, func(t *testing.T) {
		e, err := policy.Open(config)
		if err != nil {
			t.Fatal(err)
		}
		first := refused(t, e, nil)
		if len(first) < 15 || len(first) > 45 {
			t.Errorf("the candidate decides for %d of 100", len(first))
		}
		if again := refused(t, e, nil); !maps.Equal(first, again) {
			t.Errorf("another share of the callers: %v, %v", first, again)
		}
		if other, err := policy.Open(config); err != nil || !maps.Equal(first, refused(t, other, nil)) {
			t.Errorf("another process has another share: %v", err)
		}
		if s := e.Status().Shadow; s.Canary != 30 || s.Returned != "" {
			t.Errorf("status %+v", s)
		}
		inForce := e.InForce()

		go e.RunShadow(t.Context())
		synctest.Wait()
		if left := refused(t, e, nil); len(left) != 0 {
			t.Errorf("after it has returned it refuses %d", len(left))
		}
		s := e.Status().Shadow
		if s.Canary != 0 || !strings.Contains(s.Returned, "that the active policy allows") || e.InForce() == inForce {
			t.Errorf("status %+v, in force %s", s, e.InForce())
		}

		write(t, candidate, "data.yaml", "version: 2")
		if err := e.ReloadShadow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := e.Status().Shadow; s.Canary != 30 || s.Returned != "" {
			t.Errorf("with another candidate: %+v", s)
		}
	})
}

// A candidate that refuses nothing more stays, and lists and grants are its own for those
// that it decides for.
func TestACanaryThatHarmsNobodyStays(t *testing.T) {
	candidate := team(t, map[string]string{"data.yaml": "{grants: {roles: {ops: {transit: {k: {}}}}}}"})
	cat := catalogue(t)
	synctest.Test(t, func(t *testing.T) {
		e, err := policy.Open(policy.Config{Shadow: candidate, Canary: 50, Catalogue: cat, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		go e.RunShadow(t.Context())
		for range 5 {
			if r := refused(t, e, synctest.Wait); len(r) != 0 {
				t.Errorf("refused: %v", r)
			}
		}
		if s := e.Status().Shadow; s.Canary != 50 || s.Returned != "" {
			t.Errorf("status %+v", s)
		}
		for i := range 20 {
			c := &call.Caller{Subject: fmt.Sprintf("agent%d", i), Kind: "agent", Roles: []string{"ops"}, Scopes: []string{"write"}, Prefix: path(t, "mcp/x")}
			d := e.Decide(t.Context(), bind(t, c, "transit.encrypt", `{"key":"k","plaintext":"aGk="}`))
			if listed := e.Callable(t.Context(), c, cat.Get("transit.encrypt")); listed != d.Allow || len(e.Granted(c, at())) == 1 != d.Allow {
				t.Errorf("%s: allowed %v, listed %v, granted %v", c.Subject, d.Allow, listed, e.Granted(c, at()))
			}
		}
	})
}

// TestACandidateThatDecidesIsHeldToWhatThePolicyIs: what must be signed to be taken from
// the active policy cannot be left out of a candidate that decides, and what the active
// policy withdraws is withdrawn from the callers of the canary too.
func TestACandidateThatDecidesIsHeldToWhatThePolicyIs(t *testing.T) {
	strict := refuses("{}", `input.action.effect == "read"`, `{"action": {"engine": "kv", "effect": "read"}}`)
	active, candidate := team(t, strict), team(t, map[string]string{"data.yaml": "version: 1"})
	c := policy.Config{Dir: active, Shadow: candidate, SignedRemovals: true, Catalogue: catalogue(t), Timeout: time.Minute}
	if _, err := policy.Open(c); err != nil {
		t.Errorf("a candidate that decides nothing: %v", err)
	}
	c.Canary = 100
	if _, err := policy.Open(c); err == nil || !strings.Contains(err.Error(), "must be a signed archive") {
		t.Errorf("a candidate that decides without the rule: got %v", err)
	}
	write(t, active, "data.yaml", "version: 1")
	c.Dir, c.Shadow, c.SignedRemovals = candidate, team(t, map[string]string{"data.yaml": "version: 2"}), false
	e := open(t, c)
	if r := refused(t, e, nil); len(r) != 0 {
		t.Fatalf("%d are refused", len(r))
	}
	for name, text := range strict {
		write(t, candidate, name, text)
	}
	if err := e.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := refused(t, e, nil); len(r) != 100 {
		t.Errorf("the active policy refuses everybody now, the canary %d of 100", len(r))
	}
	if s := e.Status().Shadow; !strings.Contains(s.Returned, "the active policy has changed") {
		t.Errorf("status %+v", s)
	}
}

// TestACandidateThatDecidesIsNoOlderThanThePolicy: whoever can replay an archive that was
// replaced could bring a withdrawn grant back to the callers of the canary.
func TestACandidateThatDecidesIsNoOlderThanThePolicy(t *testing.T) {
	key, keys := pair(t)
	dir, place := team(t, map[string]string{"data.yaml": granting}), t.TempDir()
	c := policy.Config{Dir: filepath.Join(place, "active.tar.gz"), Shadow: filepath.Join(place, "candidate.tar.gz"), Keys: keys, Catalogue: catalogue(t)}
	signed(t, c.Dir, dir, 5, key)
	signed(t, c.Shadow, dir, 4, key)
	if _, err := policy.Open(c); err != nil {
		t.Errorf("a candidate that decides nothing: %v", err)
	}
	c.Canary = 10
	if _, err := policy.Open(c); err == nil || !strings.Contains(err.Error(), "below 5") {
		t.Errorf("at the start: got %v", err)
	}
	signed(t, c.Shadow, dir, 5, key)
	e := open(t, c)
	signed(t, c.Shadow, dir, 3, key)
	if err := e.ReloadShadow(t.Context()); err == nil || !strings.Contains(err.Error(), "below 5") {
		t.Errorf("later: got %v", err)
	}
}
