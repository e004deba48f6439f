package vault_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// TestLeaseQuotaHoldsForCallsAtOnce: of forty calls at the same time, as many get a
// lease as there is room for, and afterwards a place that becomes free can be taken.
func TestLeaseQuotaHoldsForCallsAtOnce(t *testing.T) {
	const quota, calls = 5, 40
	w := newWorld(t)
	w.ttl(t, "1h", "24h")
	cl := w.client(t, vault.Guard{Max: quota})
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
