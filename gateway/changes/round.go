package changes

import (
	"context"
	"slices"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/retry"
)

// turn is what one caller is subscribed to and has not been looked at in this round,
// what was looked at the longest ago first.
type turn struct {
	caller *call.Caller
	queue  []events.Topic
}

// round is one round of looks, spread over the interval.
type round struct {
	*Poller
	turns    []*turn // callers that have something left, in the order of their turns
	callers  map[string]*turn
	nextTurn int                   // index of the caller whose turn it is
	known    map[events.Topic]bool // what the round knows of
	done     map[events.Topic]bool // what was looked at
	room     int                   // how many more names subtrees may bring
	fresh    time.Duration         // how old what another replica has read may be
	urgent   int                   // looks that nothing but the pace is waited for: somebody has just subscribed
}

// arrival is a subscription that has just been made.
type arrival struct {
	caller *call.Caller
	topic  events.Topic
}

// maxArrivals bounds the subscriptions that wait for their first look out of turn; what
// is more is looked at in the next round.
const maxArrivals = 4096

// subscribed notes a subscription, so that its first look is made at once: what is changed
// from then on is reported. A look of somebody who may not see a secret is none.
func (p *Poller) subscribed(c *call.Caller, ts []events.Topic) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range ts {
		if b := p.baselines[t]; len(p.arrivals) < maxArrivals && (b == nil || !b.known) {
			p.arrivals = append(p.arrivals, arrival{c, t})
		}
	}
	if len(p.arrivals) == 0 {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default: // it is awake
	}
}

func (p *Poller) newRound() *round {
	r := &round{Poller: p, callers: map[string]*turn{}, known: map[events.Topic]bool{}, done: map[events.Topic]bool{}, room: p.Names}
	for c, ts := range p.Log.Subscribed() {
		of := r.turn(c)
		for t := range ts {
			r.known[t] = true
			r.put(of, t)
		}
		r.sort(of)
	}
	slices.SortFunc(r.turns, func(a, b *turn) int { return p.lastReadOf(a.queue[0]).Compare(p.lastReadOf(b.queue[0])) })
	return r
}

// maxReads bounds the reads of a round. What is left over comes first in the
// next one.
func (p *Poller) maxReads() int { return max(int(p.Every.Seconds()*float64(p.PerSecond)), 1) }

func (p *Poller) round(ctx context.Context) bool {
	r := p.newRound()
	if r.takeArrivals(); len(r.turns) == 0 {
		return p.waitOrWake(ctx, p.Every)
	}
	n := p.beginRound(r.queued())
	r.fresh = p.interval(n) * time.Duration(n) * 4 / 5
	for looks := 0; looks < p.maxReads() && r.hasNext(); looks++ {
		if r.urgent == 0 && !p.waitOrWake(ctx, p.interval(n)) || !p.pace(ctx) {
			return false
		}
		r.takeArrivals()
		r.urgent = max(r.urgent-1, 0)
		t, of := r.next()
		r.poll(ctx, t, of)
	}
	for t := range r.known {
		if t.Below && !r.done[t] {
			r.keep(t)
		}
	}
	p.forget(r.known)
	return true
}

// pace keeps looks apart that were not waited for.
func (p *Poller) pace(ctx context.Context) bool {
	least := time.Second / time.Duration(p.PerSecond)
	if since := time.Since(p.lastRead); since < least*3/4 && !retry.Sleep(ctx, least-since) {
		return false
	}
	p.lastRead = time.Now()
	return true
}

// takeArrivals puts what has just been subscribed to at the front of its caller's list.
func (r *round) takeArrivals() {
	r.mu.Lock()
	news := r.arrivals
	r.arrivals = nil
	r.mu.Unlock()
	for _, a := range news {
		if r.done[a.topic] {
			continue
		}
		of := r.turn(a.caller)
		r.known[a.topic] = true
		r.put(of, events.Topic{})
		copy(of.queue[1:], of.queue)
		of.queue[0] = a.topic
		r.urgent = len(r.turns) // until everybody had a turn, the caller among them
	}
}

// queued is how many reads there are in the lists of all callers.
func (r *round) queued() (n int) {
	for _, of := range r.turns {
		n += len(of.queue)
	}
	return n
}

// turn returns a caller's.
func (r *round) turn(c *call.Caller) *turn {
	of := r.callers[c.Holder()]
	if of == nil {
		of = &turn{caller: c}
		r.callers[c.Holder()] = of
	}
	return of
}

// put puts a topic at the end of a caller's list; one with an empty list gets its turn
// after the others.
func (r *round) put(of *turn, t events.Topic) {
	if len(of.queue) == 0 && !slices.Contains(r.turns, of) {
		r.turns = append(r.turns, of)
	}
	of.queue = append(of.queue, t)
}

// sort puts what was looked at the longest ago first.
func (r *round) sort(of *turn) {
	slices.SortStableFunc(of.queue, func(a, b events.Topic) int { return r.lastReadOf(a).Compare(r.lastReadOf(b)) })
}

func (p *Poller) lastReadOf(t events.Topic) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.readAt[t]
}

// hasNext drops what has been looked at and who has nothing left, and reports whether
// anything is left.
func (r *round) hasNext() bool {
	r.turns = slices.DeleteFunc(r.turns, func(of *turn) bool {
		for len(of.queue) > 0 && r.done[of.queue[0]] {
			of.queue = of.queue[1:]
		}
		return len(of.queue) == 0
	})
	return len(r.turns) > 0
}

// next is the next topic of the caller whose turn it is, after hasNext.
func (r *round) next() (events.Topic, *turn) {
	if r.nextTurn >= len(r.turns) {
		r.nextTurn = 0
	}
	of := r.turns[r.nextTurn]
	t := of.queue[0]
	of.queue = of.queue[1:]
	r.nextTurn++
	return t, of
}

// poll reads a topic for a caller. When that fails, the next caller that is
// subscribed to it tries in its own name.
func (r *round) poll(ctx context.Context, t events.Topic, of *turn) {
	r.mu.Lock()
	r.readAt[t] = time.Now()
	r.mu.Unlock()
	var err error
	if t.Below {
		err = r.pollSubtree(ctx, of, t)
	} else {
		err = r.pollSecret(ctx, of.caller, t)
	}
	r.done[t] = err == nil || later(err)
	if t.Below && later(err) {
		r.keep(t)
	}
}
