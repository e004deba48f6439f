package limit

import (
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// standard is charged when a decision names no tier.
const standard = "standard"

// Config says what a limiter limits with.
type Config struct {
	Tier    func(name string) (op.Tier, bool) // the tiers of the active policy
	Enabled bool
	Budgets *budget.Budgets  // of which streams and running calls take; nil has the places of tiers alone
	Spend   Spend            // where the buckets are; nil keeps them in memory
	Now     func() time.Time // nil is the clock
	MaxKeys int              // buckets in memory, 100000
}

// Key names a bucket. Its parts are compared one by one and never joined.
type Key struct{ Caller, Tier string }

// Charge is what a call takes from a bucket of Burst tokens, of which one comes
// back in every Interval.
type Charge struct {
	Cost, Burst int
	Interval    time.Duration
}

// Level is a bucket after a charge: when it is full again, and for a charge that
// was not covered, after how long it would be.
type Level struct {
	Full  time.Duration
	Retry time.Duration // above 0: nothing was taken
}

// Spend charges a bucket at a time, all or nothing. A cost of 0 only looks. It is
// the whole of what a shared store must do; its error refuses the call.
type Spend func(k Key, c Charge, now time.Time) (Level, error)

// Limiter limits calls, streams and calls at once.
type Limiter struct {
	cfg Config
}

// New makes a limiter.
func New(c Config) *Limiter {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxKeys == 0 {
		c.MaxKeys = 100_000
	}
	if c.Budgets == nil {
		c.Budgets = budget.New(budget.Table{})
	}
	if c.Spend == nil {
		c.Spend = newMemory(c.MaxKeys).spend
	}
	return &Limiter{cfg: c}
}

// Take charges a decided call. Its error is RateLimited, with the time after which
// the call would be covered.
func (l *Limiter) Take(b *op.Bound, d *op.Decision) error {
	if !l.cfg.Enabled {
		return nil
	}
	tier, ok := l.tier(d.Tier)
	if !ok || tier.Requests <= 0 {
		return limited(tier.Window)
	}
	c := chargeOf(tier, cost(tier, b, d))
	level, err := l.cfg.Spend(Key{b.Caller.Key(), tier.Name}, c, l.cfg.Now())
	if err != nil {
		return call.Wrap(call.Overloaded, "the rate limit cannot be checked", err)
	}
	if level.Retry > 0 {
		return limited(level.Retry)
	}
	return nil
}

func (l *Limiter) tier(name string) (op.Tier, bool) {
	if t, ok := l.cfg.Tier(name); ok && name != "" {
		return t, true
	}
	return l.cfg.Tier(standard)
}

// cost is what the decision says, else what the tier says of the operation and of so
// many items.
func cost(t op.Tier, b *op.Bound, d *op.Decision) int {
	if d.Cost > 0 {
		return d.Cost
	}
	return t.CostOf(b.Op.Name, b.Items)
}

func chargeOf(t op.Tier, cost int) Charge {
	return Charge{Cost: cost, Burst: t.Burst, Interval: t.Window / time.Duration(t.Requests)}
}

func limited(after time.Duration) error {
	e := call.Errorf(call.RateLimited, "too many calls; try again later")
	e.RetryAfter = max(after, time.Millisecond)
	return e
}

// Facts are what a caller is told of its bucket, as RateLimit and RateLimit-Policy
// say it (draft-ietf-httpapi-ratelimit-headers).
type Facts struct {
	Policy    string        // the tier
	Quota     int           // size of the bucket
	Window    time.Duration // in which an empty bucket is full again
	Remaining int           // tokens left
	Reset     time.Duration // until the bucket is full
}

// Facts looks at a caller's bucket of a tier. There are none when limits are off
// or the store does not answer.
func (l *Limiter) Facts(who *call.Caller, name string) (Facts, bool) {
	if !l.cfg.Enabled {
		return Facts{}, false
	}
	tier, ok := l.tier(name)
	if !ok || tier.Requests <= 0 {
		return Facts{}, false
	}
	c := chargeOf(tier, 0)
	level, err := l.cfg.Spend(Key{who.Key(), tier.Name}, c, l.cfg.Now())
	if err != nil {
		return Facts{}, false
	}
	used := int((level.Full + c.Interval - 1) / c.Interval)
	return Facts{
		Policy: tier.Name, Quota: tier.Burst, Window: c.Interval * time.Duration(tier.Burst),
		Remaining: max(tier.Burst-used, 0), Reset: level.Full,
	}, true
}
