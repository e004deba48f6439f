package limit_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/limit"
	"portcullis/gateway/op"
)

// TestOvershootOfManyReplicas checks the model of the capacity page with the limiter itself:
// callers of 100 replicas pass burst and rate and not one call more while the buckets are
// shared, and at most that at each replica while they are not.
func TestOvershootOfManyReplicas(t *testing.T) {
	const replicas, callers, seconds, each = 100, 20, 10, 1000 // calls of a caller in a second
	tier := op.Tier{Name: "standard", Requests: 600, Window: time.Minute, Burst: 120}
	exact := tier.Burst + seconds*tier.Requests/60
	for name, c := range map[string]struct {
		shared limit.Spend
		most   int
	}{
		"shared": {limit.NewMemory(1000).Spend, exact},
		"away": {func(limit.Key, limit.Charge, time.Time) (limit.Level, error) {
			return limit.Level{}, errors.New("away")
		}, replicas * exact},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1_700_000_000, 0)
			var all []*limit.Limiter
			for range replicas {
				all = append(all, limit.New(limit.Config{
					Enabled: true, Shared: c.shared, Now: func() time.Time { return now },
					Tier: func(string) (op.Tier, bool) { return tier, true },
				}))
			}
			passed := [callers]int{}
			random := rand.New(rand.NewPCG(1, 2))
			for range seconds * each {
				now = now.Add(time.Second / each)
				for i := range callers {
					b := &op.Bound{Caller: &call.Caller{Subject: string(rune('a' + i))}, Op: &op.Op{Spec: op.Spec{Name: "kv.read"}}}
					if all[random.IntN(replicas)].Take(b, &op.Decision{Tier: "standard"}) == nil {
						passed[i]++
					}
				}
			}
			for i, n := range passed {
				if n > c.most || n < exact-1 { // the last token may come back just after the end
					t.Errorf("caller %d: %d calls pass, want %d to %d", i, n, exact, c.most)
				}
			}
			t.Logf("%d calls of a caller pass, %d with one bucket", passed[0], exact)
		})
	}
}
