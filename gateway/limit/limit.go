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
	Shared  Spend            // the buckets of all replicas; nil for those of this process
	Places  Place            // the places of all replicas; nil for those of this process
	Enter   Enter            // Shared and Places in one step; set when they are
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
// the whole of what a shared store must do, which may have a clock of its own.
type Spend func(k Key, c Charge, now time.Time) (Level, error)

// Limiter limits calls, streams and calls at once.
type Limiter struct {
	cfg Config
	own *Memory // the buckets of this process; of shared ones, what is known of them
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
	return &Limiter{c, NewMemory(c.MaxKeys)}
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
	level, err := l.spend(Key{b.Caller.Key(), tier.Name}, chargeOf(tier, cost(tier, b, d)), mayStandIn(tier, b.Op))
	if err != nil {
		return unchecked(err)
	}
	if level.Retry > 0 {
		return limited(level.Retry)
	}
	return nil
}

func unchecked(err error) error {
	return call.StoreAway("the rate limit cannot be checked now; try again later", err)
}

// mayStandIn reports whether the bucket of this process may stand in for a shared one that
// cannot be reached: as the tier says, else for every call that makes no credential.
func mayStandIn(t op.Tier, o *op.Op) bool {
	switch t.WithoutStore {
	case op.StoreLocal:
		return true
	case op.StoreDeny:
		return false
	}
	return o.Effect != op.Issue
}

// spend charges the shared bucket, and keeps what it knows of it here: so a bucket that
// stands in is as full as the shared one was, and lets at most its burst through before it
// keeps to the rate.
func (l *Limiter) spend(k Key, c Charge, standIn bool) (Level, error) {
	now := l.cfg.Now()
	if l.cfg.Shared == nil {
		return l.own.Spend(k, c, now)
	}
	level, err := l.cfg.Shared(k, c, now)
	if err != nil {
		return l.without(k, c, standIn, err)
	}
	l.own.set(k, now.Add(level.Full), now)
	return level, nil
}

// without charges the bucket that stands in for a shared one, if one may.
func (l *Limiter) without(k Key, c Charge, standIn bool, err error) (Level, error) {
	if !standIn {
		denied.Inc()
		return Level{}, err
	}
	stoodIn.Inc()
	return l.own.Spend(k, c, l.cfg.Now())
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

// span bounds how long a bucket takes to be full: below it, sums of times are exact in
// int64 as nanoseconds and in a double as microseconds.
const span = 1 << 51 * time.Microsecond // 71 years

func chargeOf(t op.Tier, cost int) Charge {
	c := Charge{Cost: cost, Burst: t.Burst, Interval: interval(t)}
	most := int(span / c.Interval)
	c.Burst = min(c.Burst, most)
	c.Cost = min(c.Cost, most+1)
	return c
}

// interval is the time of one token, in whole microseconds: what a store in another
// language can count with. It is rounded up, so that a tier never lets more through.
func interval(t op.Tier) time.Duration {
	n := int64(t.Requests)
	return time.Duration((t.Window.Microseconds()+n-1)/n) * time.Microsecond
}

func limited(after time.Duration) error {
	e := call.Errorf(call.RateLimited, "too many calls; try again later")
	e.RetryAfter = max(after, time.Millisecond)
	return e
}

// Facts are the state of a caller's bucket, for the headers RateLimit and RateLimit-Policy
// (draft-ietf-httpapi-ratelimit-headers).
type Facts struct {
	Policy    string        // the tier
	Quota     int           // size of the bucket
	Window    time.Duration // in which an empty bucket is full again
	Remaining int           // tokens left
	Reset     time.Duration // until the bucket is full
}

// Facts looks at a caller's bucket of a tier, of a shared one as it was after the last call
// here. There are none when limits are off.
func (l *Limiter) Facts(who *call.Caller, name string) (Facts, bool) {
	if !l.cfg.Enabled {
		return Facts{}, false
	}
	tier, ok := l.tier(name)
	if !ok || tier.Requests <= 0 {
		return Facts{}, false
	}
	c := chargeOf(tier, 0)
	level, _ := l.own.Spend(Key{who.Key(), tier.Name}, c, l.cfg.Now()) // memory has no errors
	used := int((level.Full + c.Interval - 1) / c.Interval)
	return Facts{
		Policy: tier.Name, Quota: tier.Burst, Window: c.Interval * time.Duration(tier.Burst),
		Remaining: max(tier.Burst-used, 0), Reset: level.Full,
	}, true
}
