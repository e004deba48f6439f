package policy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/policy"
)

// TestASlowCheckIsGivenUpForANewerPolicy: also that of a candidate. What the newer one
// withdraws does not wait until the older one is refused, and the candidate is taken after it.
func TestASlowCheckIsGivenUpForANewerPolicy(t *testing.T) {
	cat := catalogue(t)
	for _, slow := range []string{"the policy", "the candidate"} {
		dir, candidate := team(t, map[string]string{"data.yaml": granting}), team(t, map[string]string{"data.yaml": granting})
		in := map[string]string{"the policy": dir, "the candidate": candidate}[slow]
		synctest.Test(t, func(t *testing.T) {
			e, err := policy.Open(policy.Config{Dir: dir, Shadow: candidate, Catalogue: cat, Poll: time.Second, Timeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			policy.Slow(e, "slow_test.rego")
			go e.Watch(t.Context())
			write(t, in, "slow_test.rego", "package policy.deny.t_test\n\nimport rego.v2\n\ntest_t if true\n")
			time.Sleep(10 * time.Second)
			write(t, dir, "data.yaml", refusing)
			if in == dir {
				_ = os.Remove(filepath.Join(dir, "slow_test.rego"))
			}
			time.Sleep(10 * time.Second)
			if d := e.Decide(t.Context(), bind(t, agent(t), "db.issue_creds", `{"role":"readonly"}`)); d.Allow {
				t.Errorf("%s is slow, and what was withdrawn is allowed", slow)
			}
			before := e.Status().Shadow.LoadedAt
			time.Sleep(5 * time.Minute)
			if s := e.Status(); s.LastError != "" || s.Shadow.LastError != "" || (in == candidate) != s.Shadow.LoadedAt.After(before) {
				t.Errorf("%s is slow: status %+v", slow, s)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAPolicyIsTakenOnceFewerChecksGoOn: one that came while too many did is not forgotten.
func TestAPolicyIsTakenOnceFewerChecksGoOn(t *testing.T) {
	dir, cat := team(t, map[string]string{"data.yaml": granting}), catalogue(t)
	synctest.Test(t, func(t *testing.T) {
		later := func() time.Time { return time.Now().AddDate(100, 0, 0) } // files that were changed long ago are read once
		e, err := policy.Open(policy.Config{Dir: dir, Catalogue: cat, Now: later, Poll: time.Second, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		go e.Watch(t.Context())
		policy.GivenUp(e, 3)
		write(t, dir, "data.yaml", refusing)
		time.Sleep(10 * time.Second)
		if s := e.Status(); !strings.Contains(s.LastError, "still being checked") {
			t.Errorf("status %+v", s)
		}
		policy.GivenUp(e, -3)
		time.Sleep(10 * time.Second)
		if d := e.Decide(t.Context(), bind(t, agent(t), "db.issue_creds", `{"role":"readonly"}`)); d.Allow || e.Status().LastError != "" {
			t.Errorf("got %+v, and the status %+v", d, e.Status())
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestWhatTheOperatorHasReadAgainIsGivenUp for a newer policy as well, and is said to be.
func TestWhatTheOperatorHasReadAgainIsGivenUp(t *testing.T) {
	dir, cat := team(t, map[string]string{"data.yaml": granting}), catalogue(t)
	synctest.Test(t, func(t *testing.T) {
		e, err := policy.Open(policy.Config{Dir: dir, Catalogue: cat, Poll: time.Second, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		policy.Slow(e, "slow_test.rego")
		write(t, dir, "slow_test.rego", "package policy.deny.t_test\n\nimport rego.v2\n\ntest_t if true\n")
		answer := make(chan error, 1)
		go func() { err, _ := e.Reread(t.Context()); answer <- err }()
		time.Sleep(10 * time.Second)
		write(t, dir, "data.yaml", refusing)
		_ = os.Remove(filepath.Join(dir, "slow_test.rego"))
		time.Sleep(10 * time.Second)
		select {
		case err := <-answer:
			if err == nil || !strings.Contains(err.Error(), "has changed since") {
				t.Errorf("the operator is told %v", err)
			}
		default:
			t.Error("the newer policy waits")
			<-answer
		}
		if policy, shadow := e.Reread(t.Context()); policy != nil || shadow != nil {
			t.Errorf("later: %v, %v", policy, shadow)
		}
		if d := e.Decide(t.Context(), bind(t, agent(t), "db.issue_creds", `{"role":"readonly"}`)); d.Allow {
			t.Error("what was withdrawn is allowed")
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestASlowCheckIsGivenUpForThePolicyBefore: a link that is set back names the same files as
// before, and nothing of them has changed.
func TestASlowCheckIsGivenUpForThePolicyBefore(t *testing.T) {
	cat, before := catalogue(t), team(t, map[string]string{"data.yaml": refusing})
	slow := team(t, map[string]string{"data.yaml": granting, "slow_test.rego": "package policy.deny.t_test\n\nimport rego.v2\n\ntest_t if true\n"})
	link := filepath.Join(t.TempDir(), "current")
	point := func(to string) {
		if err := errors.Join(os.Symlink(to, link+".new"), os.Rename(link+".new", link)); err != nil {
			t.Fatal(err)
		}
	}
	point(before)
	synctest.Test(t, func(t *testing.T) {
		later := func() time.Time { return time.Now().AddDate(100, 0, 0) } // files that were changed long ago are read once
		e, err := policy.Open(policy.Config{Dir: link, Catalogue: cat, Now: later, Poll: time.Second, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		policy.Slow(e, "slow_test.rego")
		go e.Watch(t.Context())
		time.Sleep(10 * time.Second)
		point(slow)
		time.Sleep(10 * time.Second)
		point(before)
		for range 300 {
			time.Sleep(time.Second)
			if d := e.Decide(t.Context(), bind(t, agent(t), "db.issue_creds", `{"role":"readonly"}`)); d.Allow {
				t.Fatal("a policy that was withdrawn while it was checked became active")
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}
