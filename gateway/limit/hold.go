package limit

import (
	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// What a tier has places for.
const (
	Stream  = budget.Streams // a stream that is open
	Running = budget.Calls   // a call that is running
)

// Hold takes a place among the streams or the running calls of a caller: as many as its tier says, else as the budget has for
// one caller, and within everybody's share. The caller of Hold must call release. The
// error is RateLimited or Overloaded. The places of a tier end with RATE_LIMIT_ENABLED,
// those of the budget never do.
func (l *Limiter) Hold(c *call.Caller, tier string, k budget.Kind) (release func(), err error) {
	most := 0
	if l.cfg.Enabled {
		t, ok := l.tier(tier)
		if !ok {
			return nil, limited(0)
		}
		most = places(t, k)
	}
	return l.cfg.Budgets.ReserveWithin(budget.Of(c), k, 1, int64(most))
}

func places(t op.Tier, k budget.Kind) int {
	if k == Stream {
		return t.Streams
	}
	return t.Concurrent
}
