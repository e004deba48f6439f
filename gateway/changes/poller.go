package changes

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/retry"
)

// Poller finds changes that were made past the gateway. It reads the metadata of the
// secrets that somebody is subscribed to; below a subtree that somebody is subscribed to
// it lists the names and reads their metadata. However many readers and topics cover a
// secret, it is read once in a round. Callers take turns, and each read is made for the
// caller whose turn it is: a caller with many topics delays its own reads alone, and a
// caller that may not read a secret hides its changes from nobody.
type Poller struct {
	Log     *events.Log
	Deduper *Deduper
	// Read returns the metadata of a secret, as one of its subscribers.
	Read func(ctx context.Context, c *call.Caller, t events.Topic) (Metadata, error)
	// List returns the names directly below a topic, as one of its subscribers; a
	// name that ends in a slash has names below it. Without it subtrees are not
	// polled.
	List func(ctx context.Context, c *call.Caller, t events.Topic) ([]string, error)
	// Shared lets one replica read for all; nil where each gateway reads for itself.
	Shared *Shared
	// Every is the time between two reads of one secret, default 5 s.
	Every time.Duration
	// PerSecond bounds the reads; with more secrets a round takes longer. Default 25.
	PerSecond int
	// Names bounds the secrets that are polled because of subtrees; further ones are not
	// polled. Default 2,000.
	Names int

	mu        sync.Mutex // guards the fields below
	baselines map[events.Topic]*baseline
	fallback  bool // another source reports changes at once
	rounds    int  // begun since fallback was set
	wake      chan struct{}
	readAt    map[events.Topic]time.Time // time of the last read
	arrivals  []arrival                  // subscriptions without a read
	lastRead  time.Time
}

// fallbackFactor is how much longer a round takes while another source reports changes.
const fallbackFactor = 12

// SetFallback says whether another source reports changes at once. While it does, rounds
// are rare, because that source may lose reports; the first round after each call is not,
// because it finds changes made before it began.
func (p *Poller) SetFallback(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fallback, p.rounds = on, 0
	select {
	case p.wake <- struct{}{}:
	default: // it is not waiting
	}
}

// Metadata is what the metadata of a secret says.
type Metadata struct {
	Version     int
	Updated     string // time of the last write
	Fingerprint string // of the versions: it changes when one is deleted, undeleted or destroyed
}

// baseline is what the next poll of a topic is compared with: the metadata of a secret,
// or for a subtree the names directly in it.
type baseline struct {
	last    Metadata
	names   map[string]bool
	known   bool      // last or names are set
	partial bool      // of last, the version alone is up to date: it comes from an event
	fresh   bool      // made by an event, and not reached by a round yet
	told    string    // state that another replica has told of
	at      time.Time // when last or names were read
}

// Run polls until ctx ends.
func (p *Poller) Run(ctx context.Context) {
	p.Every = cmp.Or(p.Every, 5*time.Second)
	p.PerSecond = cmp.Or(p.PerSecond, 25)
	p.Names = cmp.Or(p.Names, 2000)
	p.mu.Lock()
	p.baselines, p.readAt, p.wake = map[events.Topic]*baseline{}, map[events.Topic]time.Time{}, make(chan struct{}, 1)
	p.mu.Unlock()
	p.Log.OnPublish(p.observe)
	p.Log.OnSubscribe(p.subscribed)
	for p.round(ctx) {
	}
}

// beginRound begins a round and returns how many looks it will have, judged by what the
// last one has found.
func (p *Poller) beginRound(subscribed int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rounds++
	return min(max(subscribed, len(p.baselines), 1), p.maxReads())
}

// interval is the pause before each look of a round of n.
func (p *Poller) interval(n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := p.Every
	if p.fallback && p.rounds > 1 {
		every *= fallbackFactor
	}
	return max(every/time.Duration(n), time.Second/time.Duration(p.PerSecond))
}

// waitOrWake waits for about d, or until the length of the wait may have changed.
func (p *Poller) waitOrWake(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(retry.Jitter(d*5/4, 3))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-p.wake:
	case <-t.C:
	}
	return true
}

// forget drops what the round has not come to: nobody is subscribed to it any more,
// or it is gone.
func (p *Poller) forget(known map[events.Topic]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t, s := range p.baselines {
		if !known[t] && !s.fresh {
			delete(p.baselines, t)
		}
		s.fresh = false
	}
	maps.DeleteFunc(p.readAt, func(t events.Topic, _ time.Time) bool { return !known[t] })
}

// observe updates the baseline of a secret with a change that is published from another
// source, so that the next poll does not find it.
func (p *Poller) observe(e events.Event) {
	if e.Kind != events.ResourceChanged || e.Source == events.FromPoll && e.State == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := topicOf(e)
	s := p.baselines[t]
	if s == nil {
		if !p.within(t) {
			return
		}
		s = &baseline{fresh: true}
		p.baselines[t] = s
	}
	if e.Source == events.FromPoll {
		s.told = e.State
		return
	}
	s.last.Version = max(s.last.Version, e.Version)
	s.known, s.partial = s.known || e.Version > 0, true
}

// within reports whether a secret lies in a subtree that is looked at. The lock is
// held.
func (p *Poller) within(t events.Topic) bool {
	if p.baselines[events.Topic{Mount: t.Mount, Below: true}] != nil {
		return true
	}
	return slices.ContainsFunc(t.Path.Ancestors(), func(a string) bool {
		root, err := call.ParsePath(a)
		return err == nil && p.baselines[events.Topic{Mount: t.Mount, Path: root, Below: true}] != nil
	})
}

// pollSecret reads the metadata of a secret for a caller.
func (r *round) pollSecret(ctx context.Context, c *call.Caller, t events.Topic) error {
	since := r.Deduper.Now()
	now, at, err := readOnce(ctx, r, t, func() (Metadata, error) { return r.Read(ctx, c, t) }, func(was Metadata) { r.changed(t, was, time.Time{}) })
	if err != nil {
		return err
	}
	// A change that was published during the read may be part of it or not: the next
	// read tells.
	if r.Deduper.ObservedSince(t, since) || r.Deduper.observedAfter(t, at) {
		return nil
	}
	if !r.changed(t, now, at) {
		note(ctx, r, t, now)
		return nil
	}
	e := pollEvent(t, now.Version)
	e.State = now.state()
	r.Deduper.OfferPolled(e, since, func() { note(context.WithoutCancel(ctx), r, t, now) })
	return nil
}

// state is a short name for what is said.
func (m Metadata) state() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q %q", m.Version, m.Updated, m.Fingerprint))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

func pollEvent(t events.Topic, version int) events.Event {
	return events.Event{Kind: events.ResourceChanged, Mount: t.Mount, Path: t.Path, Version: version, Source: events.FromPoll}
}

// baseline is what is known of a topic. The lock is held.
func (p *Poller) baseline(t events.Topic) *baseline {
	b := p.baselines[t]
	if b == nil {
		b = &baseline{}
		p.baselines[t] = b
	}
	return b
}

// changed makes what was read the baseline, and reports whether it differs from the one
// of before, which no other replica has told.
func (p *Poller) changed(t events.Topic, now Metadata, at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.baseline(t)
	was := *b
	*b = baseline{last: now, known: true, at: at}
	if !was.known || was.told == now.state() {
		return false
	}
	if was.partial {
		return now.Version > was.last.Version
	}
	return now != was.last
}
