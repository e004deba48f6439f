package events

import (
	"context"
	"slices"
	"time"

	"portcullis/gateway/call"
)

// turn is what one caller is subscribed to and has not been looked at in this round,
// what was looked at the longest ago first.
type turn struct {
	caller *call.Caller
	left   []Topic
}

// round is one round of looks, spread over the interval.
type round struct {
	*Poller
	turns   []*turn // callers that have something left, in the order of their turns
	callers map[string]*turn
	whose   int            // turn it is
	work    map[Topic]bool // what the round knows of
	done    map[Topic]bool // what was looked at
	room    int            // how many more names subtrees may bring
	urgent  int            // looks that nothing but the pace is waited for: somebody has just subscribed
}

// arrival is a subscription that has just been made.
type arrival struct {
	caller *call.Caller
	topic  Topic
}

// mostNews bounds the subscriptions that wait for their first look out of turn; what
// is more is looked at in the next round.
const mostNews = 4096

// arrive notes a subscription, so that its first look is made at once: what is changed
// from then on is told of.
func (p *Poller) arrive(c *call.Caller, ts []Topic) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range ts {
		if len(p.news) < mostNews && p.at[t].IsZero() {
			p.news = append(p.news, arrival{c, t})
		}
	}
	if len(p.news) == 0 {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default: // it is awake
	}
}

func (p *Poller) newRound() *round {
	r := &round{Poller: p, callers: map[string]*turn{}, work: map[Topic]bool{}, done: map[Topic]bool{}, room: p.Names}
	for c, ts := range p.Log.subscribed() {
		of := r.turn(c)
		for t := range ts {
			r.work[t] = true
			r.put(of, t)
		}
		r.sort(of)
	}
	slices.SortFunc(r.turns, func(a, b *turn) int { return p.looked(a.left[0]).Compare(p.looked(b.left[0])) })
	return r
}

// most is how many looks a round has at most. What is left over comes first in the
// next one.
func (p *Poller) most() int { return max(int(p.Every.Seconds()*float64(p.PerSecond)), 1) }

func (p *Poller) round(ctx context.Context) bool {
	r := p.newRound()
	if r.arrivals(); len(r.turns) == 0 {
		return p.rest(ctx, p.Every)
	}
	n := p.begin(r.left())
	for looks := 0; looks < p.most() && r.more(); looks++ {
		if r.urgent == 0 && !p.rest(ctx, p.step(n)) || !p.pace(ctx) {
			return false
		}
		r.arrivals()
		r.urgent = max(r.urgent-1, 0)
		t, of := r.next()
		r.look(ctx, t, of)
	}
	for t := range r.work {
		if t.Below && !r.done[t] {
			r.keep(t)
		}
	}
	p.forget(r.work)
	return true
}

// pace keeps looks apart that were not waited for.
func (p *Poller) pace(ctx context.Context) bool {
	least := time.Second / time.Duration(p.PerSecond)
	if since := time.Since(p.last); since < least*3/4 && !pause(ctx, least-since) {
		return false
	}
	p.last = time.Now()
	return true
}

// arrivals puts what has just been subscribed to at the front of its caller's list.
func (r *round) arrivals() {
	r.mu.Lock()
	news := r.news
	r.news = nil
	r.mu.Unlock()
	for _, a := range news {
		if r.done[a.topic] {
			continue
		}
		of := r.turn(a.caller)
		r.work[a.topic] = true
		r.put(of, Topic{})
		copy(of.left[1:], of.left)
		of.left[0] = a.topic
		r.urgent = len(r.turns) // until everybody had a turn, the caller among them
	}
}

// left is how many looks there are in the lists of all callers.
func (r *round) left() (n int) {
	for _, of := range r.turns {
		n += len(of.left)
	}
	return n
}

// turn returns a caller's.
func (r *round) turn(c *call.Caller) *turn {
	of := r.callers[c.Key()]
	if of == nil {
		of = &turn{caller: c}
		r.callers[c.Key()] = of
	}
	return of
}

// put puts a topic at the end of a caller's list; one with an empty list gets its turn
// after the others.
func (r *round) put(of *turn, t Topic) {
	if len(of.left) == 0 && !slices.Contains(r.turns, of) {
		r.turns = append(r.turns, of)
	}
	of.left = append(of.left, t)
}

// sort puts what was looked at the longest ago first.
func (r *round) sort(of *turn) {
	slices.SortStableFunc(of.left, func(a, b Topic) int { return r.looked(a).Compare(r.looked(b)) })
}

func (p *Poller) looked(t Topic) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at[t]
}

// more drops what has been looked at and who has nothing left, and reports whether
// anything is left.
func (r *round) more() bool {
	r.turns = slices.DeleteFunc(r.turns, func(of *turn) bool {
		for len(of.left) > 0 && r.done[of.left[0]] {
			of.left = of.left[1:]
		}
		return len(of.left) == 0
	})
	return len(r.turns) > 0
}

// next is the next topic of the caller whose turn it is, after more.
func (r *round) next() (Topic, *turn) {
	if r.whose >= len(r.turns) {
		r.whose = 0
	}
	of := r.turns[r.whose]
	t := of.left[0]
	of.left = of.left[1:]
	r.whose++
	return t, of
}

// look looks at a topic for a caller. When that fails, the next caller that is
// subscribed to it tries in its own name.
func (r *round) look(ctx context.Context, t Topic, of *turn) {
	r.mu.Lock()
	r.at[t] = time.Now()
	r.mu.Unlock()
	if t.Below {
		r.done[t] = r.list(ctx, of, t)
	} else {
		r.done[t] = r.secret(ctx, of.caller, t)
	}
}

// subscribed returns the topics of every caller.
func (l *Log) subscribed() map[*call.Caller]map[Topic]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	out, byKey := map[*call.Caller]map[Topic]bool{}, map[string]map[Topic]bool{}
	for r := range l.readers {
		ts := byKey[r.caller.Key()]
		if ts == nil {
			ts = map[Topic]bool{}
			byKey[r.caller.Key()], out[r.caller] = ts, ts
		}
		for _, t := range r.topicsOf() {
			ts[t] = true
		}
	}
	for c, ts := range out {
		if len(ts) == 0 {
			delete(out, c)
		}
	}
	return out
}
