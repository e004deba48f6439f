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

// Place takes one of so many places that a caller has at all replicas, until release is
// called. It is not ok when all are taken.
type Place func(caller, what string, most int) (release func(), ok bool, err error)

// Hold takes a place among the streams or the running calls of a caller: as many as its tier says, else as the budget has for
// one caller, and within everybody's share. The caller of Hold must call release. The
// error is RateLimited or Overloaded. The places of a tier end with RATE_LIMIT_ENABLED,
// those of the budget never do. With shared places those of a tier are one caller's at all
// replicas; while they cannot be reached each replica has as many, or none, as the tier says.
func (l *Limiter) Hold(c *call.Caller, tier string, k budget.Kind) (release func(), err error) {
	if !l.cfg.Enabled {
		return l.cfg.Budgets.Reserve(budget.Of(c), k, 1)
	}
	t, ok := l.tier(tier)
	if !ok {
		return nil, limited(0)
	}
	most := places(t, k)
	own, err := l.cfg.Budgets.ReserveWithin(budget.Of(c), k, 1, int64(most))
	if err != nil || most == 0 || l.cfg.Places == nil {
		return own, err
	}
	shared, err := l.share(c, t, k, most)
	if err != nil {
		own()
		return nil, err
	}
	return func() { shared(); own() }, nil
}

// share takes a place among those of all replicas.
func (l *Limiter) share(c *call.Caller, t op.Tier, k budget.Kind, most int) (release func(), err error) {
	release, ok, err := l.cfg.Places(c.Key(), k.String(), most)
	switch {
	case err != nil && t.WithoutStore == op.StoreDeny:
		denied.Inc()
		return nil, unchecked(err)
	case err != nil:
		stoodIn.Inc()
		return func() {}, nil //nolint:nilerr // without shared places the replica's own, taken before, bound the caller
	case !ok:
		return nil, budget.Exhausted(k, budget.Caller)
	}
	return release, nil
}

func places(t op.Tier, k budget.Kind) int {
	if k == Stream {
		return t.Streams
	}
	return t.Concurrent
}
