package policy_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/policy"
)

// remove takes a file of a policy away.
func remove(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := os.Remove(filepath.Join(dir, n)); err != nil {
			t.Fatal(err)
		}
	}
}

func writing() map[string]string {
	return refuses("{obligations: {kv.read: {deliver: masked}}}", `input.action.op == "kv.write"`, `{"action": {"engine": "kv", "op": "kv.write"}}`)
}

func TestAPolicyThatShrinksToNothingIsRefused(t *testing.T) {
	for name, left := range map[string]string{"an empty directory": "", "data without anything in them": "{}"} {
		t.Run(name, func(t *testing.T) {
			dir := team(t, writing())
			e := open(t, policy.Config{Dir: dir})
			remove(t, dir, "t.rego", "t_test.rego", "data.yaml")
			if left != "" {
				if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte(left), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Reload(t.Context()); err == nil {
				t.Error("it is taken")
			}
			if d := e.Decide(t.Context(), bind(t, agent(t), "kv.write", `{"path":"a","data":{}}`)); d.Allow || !e.Status().Stale {
				t.Errorf("allowed %v, status %+v", d.Allow, e.Status())
			}
		})
	}
}

func TestWhatAChangeDropsIsNamed(t *testing.T) {
	for _, signed := range []bool{false, true} {
		dir := team(t, writing())
		var log strings.Builder
		e := open(t, policy.Config{Dir: dir, SignedRemovals: signed, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		remove(t, dir, "t.rego", "t_test.rego")
		if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte("{grants: {subjects: {a: {transit: {k: {}}}}}}"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := e.Reload(t.Context())
		want := []string{"obligation kv.read deliver masked", "rule t.r", "team deny.t"}
		switch {
		case signed && (err == nil || !strings.Contains(err.Error(), "rule t.r")):
			t.Errorf("what takes rules away need not be signed: %v", err)
		case !signed && (err != nil || !slices.Equal(e.Status().Removed, want) || !strings.Contains(log.String(), "rule t.r")):
			t.Errorf("%v, %q, log %s", err, e.Status().Removed, log.String())
		}
	}
}

func TestWhatTheDataSayOfTheStandardTierHolds(t *testing.T) {
	dir := team(t, map[string]string{"data.yaml": "{tiers: {standard: {requests: 3, window_s: 60, burst: 2}}}"})
	if tier, _ := open(t, policy.Config{Dir: dir}).Tier("standard"); tier.Requests != 3 || tier.Burst != 2 {
		t.Errorf("got %+v", tier)
	}
	if tier, _ := open(t, policy.Config{Dir: dir, StandardRequests: 9}).Tier("standard"); tier.Requests != 9 {
		t.Errorf("got %+v", tier)
	}
}
