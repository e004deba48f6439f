package changes

import (
	"maps"
	"slices"
	"sync"
	"time"

	"portcullis/gateway/events"
)

// Deduper stands between the sources of changes and the event log: a change that
// several of them report is published once. The gateway's own calls are published by the
// pipeline at once, and a source may report them before or after that.
//
//   - A report of Vault's (audit record or event) belongs to one call of the gateway's,
//     whichever comes first, else to a poll that has found its version or a later one.
//   - A poll's report counts only when nothing was published about the secret since the
//     poll began to read it.
type Deduper struct {
	publish func(events.Event)

	mu       sync.Mutex                   // guards the fields below; taken after the log's
	own      map[events.Topic][]time.Time // the gateway's changes that Vault has not reported yet
	pending  map[events.Topic][]*report   // Vault's reports of what may be changes of the gateway's
	polled   map[events.Topic]polled      // what polls have found lately
	observed map[events.Topic]observation // the last change that was published from another source than polls
	count    Mark                         // of observations
	swept    time.Time
}

// report is an event of Vault's that waits for the gateway's own event of the same
// change.
type report struct {
	timer   *time.Timer
	version int
}

// polled is the version that a poll has found, and when.
type polled struct {
	version int
	at      time.Time
}

// Mark is a moment in the order of observations.
type Mark uint64

type observation struct {
	mark Mark
	at   time.Time
}

const (
	reportWait     = time.Second            // for the gateway's own event, after Vault's report
	reportLate     = 10 * time.Second       // after which Vault does not report a change of the gateway's any more
	maxPending     = 10_000                 // secrets with reports that wait; further reports are published at once
	pollWait       = 500 * time.Millisecond // for the gateway's own event, after a poll
	observedExpiry = time.Minute            // longer than a read of a poll takes
)

// NewDeduper makes a deduper for the sources of a log.
func NewDeduper(l *events.Log) *Deduper {
	d := &Deduper{
		publish: l.Publish, own: map[events.Topic][]time.Time{}, pending: map[events.Topic][]*report{},
		polled: map[events.Topic]polled{}, observed: map[events.Topic]observation{},
	}
	l.OnPublish(d.observe)
	return d
}

// observe notes an event that is being published.
func (d *Deduper) observe(e events.Event) {
	if e.Kind != events.ResourceChanged {
		return
	}
	now, t := time.Now(), topicOf(e)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep(now)
	if e.Source == events.FromPoll {
		d.observePoll(t, e.Version, now)
		return
	}
	d.count++
	d.observed[t] = observation{d.count, now}
	if e.Source == events.FromGateway {
		d.observeOwn(t, now)
	}
}

// observePoll notes a change that a poll has found. Vault's report of it is dropped,
// whether it is pending or about to come. The lock is held.
func (d *Deduper) observePoll(t events.Topic, version int, now time.Time) {
	d.polled[t] = polled{version, now}
	for _, r := range slices.Clone(d.pending[t]) {
		if r.version <= version {
			r.timer.Stop()
			d.take(t, r)
		}
	}
}

// observeOwn notes a change that the gateway has made. The lock is held.
func (d *Deduper) observeOwn(t events.Topic, now time.Time) {
	if reports := d.pending[t]; len(reports) > 0 {
		reports[0].timer.Stop()
		d.take(t, reports[0])
		return
	}
	d.own[t] = append(d.own[t], now)
}

// Offer takes a report of Vault's, and publishes it soon unless the change is published
// from another source.
func (d *Deduper) Offer(e events.Event) {
	now, t := time.Now(), topicOf(e)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep(now)
	if n := len(d.own[t]); n > 0 {
		if d.own[t] = d.own[t][1:]; n == 1 {
			delete(d.own, t)
		}
		return
	}
	if p, ok := d.polled[t]; ok && now.Sub(p.at) < reportWait && e.Version <= p.version {
		return
	}
	e.Time = now
	wait := reportWait
	if len(d.pending) >= maxPending {
		wait = 0
	}
	r := &report{version: e.Version}
	d.pending[t] = append(d.pending[t], r)
	r.timer = time.AfterFunc(wait, func() {
		d.mu.Lock()
		stillPending := d.take(t, r)
		d.mu.Unlock()
		if stillPending {
			d.publish(e)
		}
	})
}

// Now marks the moment before a poll reads a secret.
func (d *Deduper) Now() Mark {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// ObservedSince reports whether a change of a secret was published since, by another
// source than polls.
func (d *Deduper) ObservedSince(t events.Topic, since Mark) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.observed[t].mark > since
}

// observedAfter is ObservedSince for a time.
func (d *Deduper) observedAfter(t events.Topic, at time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.observed[t].at.After(at)
}

// OfferPolled takes a change that a poll has found which began to read at since, and
// publishes it soon unless the change is published from another source. Then it calls told.
func (d *Deduper) OfferPolled(e events.Event, since Mark, told func()) {
	time.AfterFunc(pollWait, func() {
		if !d.ObservedSince(topicOf(e), since) {
			d.publish(e)
		}
		told()
	})
}

// take ends the wait of a report, and reports whether it was pending. The lock is held.
func (d *Deduper) take(t events.Topic, r *report) bool {
	i := slices.Index(d.pending[t], r)
	if i < 0 {
		return false
	}
	if d.pending[t] = slices.Delete(d.pending[t], i, i+1); len(d.pending[t]) == 0 {
		delete(d.pending, t)
	}
	return true
}

// sweep forgets what no report can belong to any more, at most once a second. The lock
// is held.
func (d *Deduper) sweep(now time.Time) {
	if now.Sub(d.swept) < time.Second {
		return
	}
	d.swept = now
	maps.DeleteFunc(d.polled, func(_ events.Topic, p polled) bool { return now.Sub(p.at) > reportWait })
	maps.DeleteFunc(d.observed, func(_ events.Topic, o observation) bool { return now.Sub(o.at) > observedExpiry })
	for t, times := range d.own {
		times = slices.DeleteFunc(times, func(at time.Time) bool { return now.Sub(at) > reportLate })
		if d.own[t] = times; len(times) == 0 {
			delete(d.own, t)
		}
	}
}

func topicOf(e events.Event) events.Topic { return events.Topic{Mount: e.Mount, Path: e.Path} }
