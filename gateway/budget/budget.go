// Package budget bounds what may be held at once: by one caller, from one address and
// by everybody together. A share is reserved before anything is allocated for it, and
// given back when that has gone:
//
//	release, err := budgets.Reserve(budget.Of(c), budget.Sessions, 1)
//	if err != nil {
//		return err // a *call.Error: RateLimited, or Overloaded when everybody's share is used up
//	}
//	defer release()
//
// What is used by the second instead (bytes of evidence and of logs) is spent, see Spend.
// What is counted elsewhere (leases, which Vault holds) is claimed, see Claim.
package budget

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/gateway/call"
)

// Who holds something. A part that is not known (an empty caller, the zero address)
// has no share of its own; everybody's share counts always.
type Who struct {
	Caller string     // call.Caller.Key
	Addr   netip.Addr // where the request comes from; IPv6 is counted by /64
}

// Of is who a caller is. A caller is not held to the share of its address as well:
// many callers may share one address behind a proxy or a NAT, and each is bounded.
func Of(c *call.Caller) Who { return Who{Caller: c.Key()} }

// From is somebody at an address who has not proved who it is.
func From(a netip.Addr) Who {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64) // what one host is given; 64 is in range
		a = p.Addr()
	}
	return Who{Addr: a}
}

// Budgets are all shares. They are safe for concurrent use. The nil *Budgets bounds
// nothing.
type Budgets struct {
	now   func() time.Time
	pools [kinds]pool
	flows [kinds]flow
}

// New makes budgets with the limits of a table.
func New(t Table) *Budgets {
	b := &Budgets{now: time.Now}
	for k := range kinds {
		b.pools[k].limit = t[k]
		b.pools[k].used = map[Who]int64{}
		b.flows[k].limit = t[k]
		b.flows[k].full = map[string]time.Time{}
	}
	return b
}

// Limit is what a kind is bounded with.
func (b *Budgets) Limit(k Kind) Limit {
	if b == nil {
		return Limit{}
	}
	return b.pools[k].limit
}

// Reserve takes n of a kind until release is called, which may be called more than
// once. The error is a *call.Error and nothing has been taken: RateLimited when the
// share of the caller or of the address is used up, Overloaded when everybody's is.
func (b *Budgets) Reserve(w Who, k Kind, n int64) (release func(), err error) {
	return b.ReserveWithin(w, k, n, 0)
}

// ReserveWithin is Reserve where the caller's own share is most, for example what its
// tier says; 0 leaves the share that is configured.
func (b *Budgets) ReserveWithin(w Who, k Kind, n, most int64) (release func(), err error) {
	if b == nil || n <= 0 {
		return func() {}, nil
	}
	if err := b.refused(k, b.pools[k].take(w, n, most)); err != nil {
		return nil, err
	}
	var given atomic.Bool // sync.OnceFunc allocates more, and this is on the way of every call
	return func() {
		if !given.Swap(true) {
			b.Give(w, k, n)
		}
	}, nil
}

// Take is Reserve for something small of which there are many, as the entries of a
// cache: whoever took must give back with Give what was taken, once.
func (b *Budgets) Take(w Who, k Kind, n int64) error {
	if b == nil {
		return nil
	}
	return b.refused(k, b.pools[k].take(w, n, 0))
}

// Give gives back what was taken.
func (b *Budgets) Give(w Who, k Kind, n int64) {
	if b != nil {
		b.pools[k].give(w, n)
	}
}

// Claim says that a caller holds n of a kind that is counted elsewhere, this one
// included that is asked for. The error is that of Reserve, when n is more than before
// and more than may be, and then nothing has changed.
func (b *Budgets) Claim(w Who, k Kind, n int64) error {
	if b == nil {
		return nil
	}
	return b.refused(k, b.pools[k].set(w, n, true))
}

// Count is Claim for what is there anyway: it refuses nothing.
func (b *Budgets) Count(w Who, k Kind, n int64) {
	if b != nil {
		b.pools[k].set(w, n, false)
	}
}

// refused counts a refusal for want of a share, and says so.
func (b *Budgets) refused(k Kind, scope Scope) error {
	if scope == "" {
		return nil
	}
	refusals(k, scope).Inc()
	if scope == Everybody {
		b.pools[k].exhaust(b.now())
	}
	return Exhausted(k, scope)
}

// Used is how much of a kind everybody holds; of one that is spent, how much of a
// second's share is used and has not come back.
func (b *Budgets) Used(k Kind) int64 {
	if b == nil {
		return 0
	}
	if k.spent() {
		return b.flows[k].used(b.now())
	}
	return b.pools[k].total()
}

// Scope is whose share was used up.
type Scope string

// The scopes.
const (
	Caller    Scope = "caller"
	Address   Scope = "address"
	Everybody Scope = "all"
)

// Exhausted is the error for somebody whose share of a kind is used up.
func Exhausted(k Kind, s Scope) error {
	e := &call.Error{Code: call.RateLimited, RetryAfter: time.Second}
	switch {
	case k.spent() && s == Everybody:
		e.Code, e.Msg = call.Overloaded, "the gateway writes as many "+k.noun()+" a second as it may; try again later"
	case k.spent():
		e.Msg = "too many " + k.noun() + " a second for what is asked; ask less often, or with smaller arguments"
	case s == Everybody:
		e.Code, e.Msg = call.Overloaded, "the gateway holds as many "+k.noun()+" as it can; try again later"
	case s == Address:
		e.Msg = "too many " + k.noun() + " from this address at once; let some end, then try again"
	default:
		e.Msg = "too many " + k.noun() + " of this caller at once; let some end, then try again"
	}
	return e
}

// pool counts what is held of one kind. A caller that holds nothing takes no memory.
type pool struct {
	limit Limit

	mu     sync.Mutex // guards the fields below
	all    int64
	used   map[Who]int64 // by caller or by address
	turned time.Time     // when somebody was refused because all was used up
}

// take counts n more, or says whose share is used up.
func (p *pool) take(w Who, n, most int64) Scope {
	p.mu.Lock()
	defer p.mu.Unlock()
	if most == 0 {
		most = p.limit.Caller
	}
	one, from := Who{Caller: w.Caller}, Who{Addr: w.Addr}
	switch {
	case w.Caller != "" && over(p.used[one]+n, most):
		return Caller
	case w.Addr.IsValid() && over(p.used[from]+n, p.limit.Address):
		return Address
	case over(p.all+n, p.limit.All):
		return Everybody
	}
	p.all += n
	if w.Caller != "" {
		p.used[one] += n
	}
	if w.Addr.IsValid() {
		p.used[from] += n
	}
	return ""
}

func over(n, limit int64) bool { return limit > 0 && n > limit }

func (p *pool) give(w Who, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all -= n
	for _, part := range []Who{{Caller: w.Caller}, {Addr: w.Addr}} {
		if part == (Who{}) {
			continue
		}
		if p.used[part] -= n; p.used[part] <= 0 {
			delete(p.used, part)
		}
	}
}

// set makes what a caller holds n, or says whose share that would be more than.
func (p *pool) set(w Who, n int64, bounded bool) Scope {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := Who{Caller: w.Caller}
	more := n - p.used[one]
	switch {
	case bounded && more > 0 && over(n, p.limit.Caller):
		return Caller
	case bounded && more > 0 && over(p.all+more, p.limit.All):
		return Everybody
	}
	p.all += more
	if p.used[one] = n; n <= 0 {
		delete(p.used, one)
	}
	return ""
}

func (p *pool) total() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}

func (p *pool) exhaust(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turned = now
}
