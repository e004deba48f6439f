package vault_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/vault/leases"
)

// TestLeaseQuotaHoldsForCallsAtOnce: of forty calls at the same time, as many get a
// lease as there is room for, and afterwards a place that becomes free can be taken.
func TestLeaseQuotaHoldsForCallsAtOnce(t *testing.T) {
	const quota, calls = 5, 40
	w := newWorld(t)
	w.ttl(t, "1h", "24h")
	cl := w.client(t, leases.Rules{Max: quota})
	c := caller("many")
	first, err := issue(t, cl, c, 0)
	must(t, first, err)
	var got, refused atomic.Int64
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			_, err := issue(t, cl, c, 0)
			switch {
			case err == nil:
				got.Add(1)
			case call.Is(err, call.LeaseQuota):
				refused.Add(1)
			default:
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	if got.Load() != quota-1 || refused.Load() != calls-quota+1 {
		t.Errorf("%d more leases were issued and %d refused, want %d and %d", got.Load(), refused.Load(), quota-1, calls-quota+1)
	}
	s := open(t, cl, dbGrant(c, "db.revoke", 0))
	if held, err := s.Leases(t.Context()); err != nil || len(held) != quota {
		t.Errorf("%d leases are held, %v", len(held), err)
	}
	if err := s.Revoke(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		u, err := issue(t, cl, c, 0)
		if i == 0 && err != nil || i > 0 && !call.Is(err, call.LeaseQuota) {
			t.Errorf("lease %d after one was revoked: %v, %v", i, u.ID, err)
		}
	}
}

// TestEverybodysLeasesAreBounded: those of before a restart count, and what is revoked
// makes room for another caller.
func TestEverybodysLeasesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.ttl(t, "1h", "24h")
	before := w.client(t, leases.Rules{})
	first, err := issue(t, before, caller("first"), 0)
	must(t, first, err)
	var table budget.Table
	table[budget.Leases].All = 2
	b := budget.New(table)
	cl := w.bounded(t, leases.Rules{}, b)
	counted(t, b, 1)
	second, err := issue(t, cl, caller("second"), 0)
	must(t, second, err)
	if _, err := issue(t, cl, caller("third"), 0); !call.Is(err, call.Overloaded) {
		t.Errorf("one more than everybody may hold: got %v", err)
	}
	if err := open(t, cl, dbGrant(caller("second"), "db.revoke", 0)).Revoke(t.Context(), second.ID); err != nil {
		t.Fatal(err)
	}
	counted(t, b, 1)
	third, err := issue(t, cl, caller("third"), 0)
	must(t, third, err)
	for _, c := range []string{"first", "second", "third"} {
		if err := cl.RevokeCaller(t.Context(), caller(c).Key()); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Used(budget.Leases); got != 0 {
		t.Errorf("%d leases are counted when all have ended", got)
	}
}

// counted waits until so many leases are counted.
func counted(t *testing.T, b *budget.Budgets, n int64) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for tick := time.Tick(20 * time.Millisecond); b.Used(budget.Leases) != n; {
		select {
		case <-tick:
		case <-ctx.Done():
			t.Fatalf("%d leases are counted, want %d", b.Used(budget.Leases), n)
		}
	}
}
