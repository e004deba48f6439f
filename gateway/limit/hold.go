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

// Enter charges a bucket and takes one of so many places of its caller, both or neither. The
// release is nil when it did not: for want of tokens when the level says so, else of a place.
type Enter func(k Key, c Charge, what string, most int) (level Level, release func(), err error)

// Enter is Take and Hold of a call that may run, in one step: a call that is refused for one of
// them has taken nothing of the other. The caller of Enter must call release.
func (l *Limiter) Enter(b *op.Bound, d *op.Decision) (release func(), err error) {
	t, ok := l.tier(d.Tier)
	most := places(t, Running)
	own, err := l.cfg.Budgets.ReserveWithin(budget.Of(b.Caller), Running, 1, int64(most))
	switch {
	case err != nil:
		return nil, err
	case !l.cfg.Enabled:
		return own, nil
	}
	if !ok || t.Requests <= 0 || most == 0 || l.cfg.Enter == nil {
		if err = l.Take(b, d); err != nil {
			own()
			return nil, err
		}
		return own, nil
	}
	shared, err := l.enter(t, b, d, most)
	if err != nil {
		own()
		return nil, err
	}
	return func() { shared(); own() }, nil
}

// enter takes a token and a place among those of all replicas. While they cannot be reached
// those of this one bound the caller, or it is refused, as the tier says.
func (l *Limiter) enter(t op.Tier, b *op.Bound, d *op.Decision, most int) (release func(), err error) {
	k, c := Key{b.Caller.Key(), t.Name}, chargeOf(t, cost(t, b, d))
	level, release, err := l.cfg.Enter(k, c, Running.String(), most)
	switch {
	case err != nil:
		if level, err = l.without(k, c, mayStandIn(t, b.Op), err); err != nil {
			return nil, unchecked(err)
		}
	case release == nil && level.Retry == 0:
		return nil, budget.Exhausted(Running, budget.Caller)
	default:
		now := l.cfg.Now()
		l.own.set(k, now.Add(level.Full), now)
	}
	if level.Retry > 0 {
		return nil, limited(level.Retry)
	}
	if release == nil {
		release = func() {}
	}
	return release, nil
}

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
