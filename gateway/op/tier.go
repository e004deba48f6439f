package op

import "time"

// Tier is how much a caller may do in a time. The policy names a tier, its data
// define it.
type Tier struct {
	Name       string
	Requests   int            // tokens that come back in a window; 0 lets nothing through
	Window     time.Duration  // above 0
	Burst      int            // size of the bucket
	Costs      map[string]int // tokens by operation, 1 for one that is not named
	Streams    int            // streams open at once, 0 for no bound
	Concurrent int            // calls running at once, 0 for no bound

	WithoutStore string // what holds while the shared buckets cannot be reached, see StoreLocal
}

// What holds for the callers of a tier while the shared buckets cannot be reached: each
// replica has a bucket of its own, or calls are refused. Where a tier says neither, calls
// that make credentials are refused and the others have the replica's bucket.
const (
	StoreLocal = "local"
	StoreDeny  = "deny"
)

// ItemsPerToken is how many items of a batch one call's cost pays for: a batch costs as
// often what a call costs as it has begun such a number of items.
const ItemsPerToken = 10

// Cost is how many tokens a call of the operation takes.
func (t Tier) Cost(operation string) int {
	if c, ok := t.Costs[operation]; ok {
		return c
	}
	return 1
}

// CostOf is how many tokens a call takes with so many items. It never exceeds Burst,
// as such a call could not be made at all.
func (t Tier) CostOf(operation string, items int) int {
	c := t.Cost(operation) * max((items+ItemsPerToken-1)/ItemsPerToken, 1)
	if t.Burst > 0 {
		return min(c, max(t.Burst, t.Cost(operation)))
	}
	return c
}
