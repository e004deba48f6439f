//go:build sentinel

package redis_test

import (
	"context"
	"testing"
	"time"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/limit"
)

// TestASentinelsReplicaTakesOver: the store is there again after the master was killed, with
// what the replica has of it.
func TestASentinelsReplicaTakesOver(t *testing.T) {
	r, err := stack.StartSentinel(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	s := open(t, r.URL())
	key, charge := limit.Key{Caller: "a", Tier: "t"}, limit.Charge{Cost: 1, Burst: 2, Interval: time.Hour}
	for range 2 {
		if l, err := s.Spend(key, charge, time.Time{}); err != nil || l.Retry > 0 {
			t.Fatalf("%v, %v", l, err)
		}
	}
	e2e.Eventually(t, "at the replica", func() bool { return client(t, r.Replica).DBSize(t.Context()).Val() > 0 })
	if err := r.Master.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Spend(key, charge, time.Time{}); err == nil {
		t.Error("served by nobody")
	}
	var l limit.Level
	e2e.Eventually(t, "served by the replica", func() bool {
		l, err = s.Spend(key, charge, time.Time{})
		return err == nil
	})
	if l.Retry == 0 {
		t.Error("the bucket that was empty is full")
	}
}
