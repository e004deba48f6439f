package policy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/policy"
)

// The shadow follows its files as the active policy does, and a candidate that is
// refused leaves the one before it, with the reason in the status.
func TestTheShadowIsReloaded(t *testing.T) {
	candidate := team(t, map[string]string{"data.yaml": granting})
	e := open(t, policy.Config{Shadow: candidate})
	first := e.Status().Shadow
	if !first.Configured || first.Revision == "" || first.LastError != "" {
		t.Fatalf("got %+v", first)
	}
	write(t, candidate, "data.yaml", refusing)
	if err := e.ReloadShadow(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := e.Status().Shadow
	if second.Revision == first.Revision {
		t.Error("the changed candidate is not evaluated")
	}
	write(t, candidate, "broken.rego", "package policy.deny.x\nimport rego.v2\ndeny := true\n")
	if err := e.ReloadShadow(t.Context()); err == nil {
		t.Error("a broken candidate is taken")
	}
	s := e.Status().Shadow
	if s.Revision != second.Revision || !strings.Contains(s.LastError, "broken.rego:3") {
		t.Errorf("beside a broken candidate: %+v", s)
	}
	if e.Status().LastError != "" {
		t.Errorf("a broken candidate is held against the active policy: %+v", e.Status())
	}
	if err := os.Remove(filepath.Join(candidate, "broken.rego")); err != nil {
		t.Fatal(err)
	}
	if err := e.ReloadShadow(t.Context()); err != nil || e.Status().Shadow.LastError != "" {
		t.Errorf("after the candidate was repaired: %v, %+v", err, e.Status().Shadow)
	}
}

// What is compared after a change is the changed candidate.
func TestCallsAreComparedWithTheNewestShadow(t *testing.T) {
	active := team(t, map[string]string{"data.yaml": granting})
	candidate := team(t, map[string]string{"data.yaml": granting})
	cat, log := catalogue(t), filepath.Join(t.TempDir(), "d.jsonl")
	synctest.Test(t, func(t *testing.T) {
		e, err := policy.Open(policy.Config{Dir: active, Shadow: candidate, Catalogue: cat, LogFile: log, Poll: time.Second, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		go e.RunShadow(t.Context())
		go e.Watch(t.Context())
		ask := func() {
			e.Decide(t.Context(), bind(t, agent(t), "db.issue_creds", `{"role":"readonly"}`))
			synctest.Wait()
		}
		ask()
		write(t, candidate, "data.yaml", refusing)
		time.Sleep(3 * time.Second) // of the test's own clock: two looks
		synctest.Wait()
		ask()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if n := strings.Count(read(t, log), `"diff":"would_deny"`); n != 1 {
		t.Errorf("%d calls would be denied, want the one after the change\n%s", n, read(t, log))
	}
}

func TestAPolicyWithoutAShadowHasNone(t *testing.T) {
	e := open(t, policy.Config{})
	if err := e.ReloadShadow(t.Context()); err != nil || e.Status().Shadow.Configured {
		t.Errorf("got %v, %+v", err, e.Status().Shadow)
	}
}
