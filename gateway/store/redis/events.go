package redis

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/retry"
)

// Bounds of the shared log: events that it holds for replays, and events that wait here for
// a Redis that is away. When more wait, all of them are given up and every reader is told
// that it has missed some.
const (
	kept     = 16384
	waiting  = 4096
	together = 64 // that are sent at once
)

// How long one look at the log waits for news, how many events it takes, and how long it
// is remembered which event of a replica was the last.
const (
	newsWait     = 500 * time.Millisecond
	newsPause    = 5 * time.Millisecond // after news: what comes meanwhile is read together
	newsMost     = 512
	newsTimeout  = 5 * time.Second
	originExpiry = 24 * time.Hour
)

// appendSource appends events, the first of which has a number, once, however often they are
// sent: a replica numbers its events. It begins a new log, of another key, where there is none.
const appendSource = `
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then
  redis.call('DEL', KEYS[3], KEYS[4])
  redis.call('SET', KEYS[1], ARGV[1])
  redis.call('SET', KEYS[2], 0)
end
local first, last = tonumber(ARGV[2]), tonumber(redis.call('GET', KEYS[4]) or 0)
for i = math.max(last - first + 1, 0) + 6, #ARGV do
  local seq = redis.call('INCR', KEYS[2])
  redis.call('XADD', KEYS[3], 'MAXLEN', ARGV[3], seq .. '-0', 'o', ARGV[4], 'e', ARGV[i])
end
if first + #ARGV - 6 > last then
  redis.call('SET', KEYS[4], first + #ARGV - 6, 'PX', ARGV[5])
end
return redis.call('GET', KEYS[1])`

// Events is the log of changes that replicas share: what one publishes all tell their
// readers, in one order, and each can go on where another has stopped.
type Events struct {
	store  *Store
	log    *events.Log
	origin string // of what this replica publishes
	known  string // key of the log that was read last
	last   uint64 // event that was read last
	told   map[finding]told

	mu    sync.Mutex // guards what follows
	queue []queued   // what is to be published, oldest first
	first uint64     // number of its first event
	over  bool       // too many waited
	ended bool       // nobody sends any more
	wake  chan struct{}
}

// NewEvents makes the way to the shared log. Send is its way in, Run does the rest.
func (s *Store) NewEvents() *Events {
	return &Events{store: s, origin: rand.Text(), first: 1, wake: make(chan struct{}, 1)}
}

// queued is an event that is to be published.
type queued struct {
	raw  []byte
	sent chan struct{} // closed when somebody has tried; nil where nobody waits
}

// record is an event as Redis holds it: names, and no values.
type record struct {
	Kind    events.Kind   `json:"kind"`
	Op      string        `json:"op,omitempty"`
	Mount   string        `json:"mount,omitempty"`
	Path    string        `json:"path,omitempty"`
	Version int           `json:"version,omitempty"`
	Subject string        `json:"subject,omitempty"`
	Source  events.Source `json:"source"`
	Time    time.Time     `json:"time"`
	Owner   string        `json:"owner,omitempty"`
	State   string        `json:"state,omitempty"`
}

// Send queues an event for the shared log. Sent, unless it is nil, is closed when the event
// is there or has to wait for Redis.
func (e *Events) Send(ev events.Event) (sent <-chan struct{}) {
	raw, err := json.Marshal(record{ev.Kind, ev.Op, ev.Mount, ev.Path.String(), ev.Version, ev.Subject, ev.Source, ev.Time, ev.Owner, ev.State})
	if err != nil {
		return nil // texts and numbers cannot fail
	}
	q := queued{raw: raw}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.store.away.Load() == nil && !e.ended {
		q.sent = make(chan struct{})
	}
	if len(e.queue) >= waiting {
		e.first += uint64(len(e.queue))
		e.release(len(e.queue))
		e.queue, e.over = nil, true
	}
	e.queue = append(e.queue, q)
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return q.sent
}

// release lets those go on that wait for the first n events. The lock is held.
func (e *Events) release(n int) {
	for i := range e.queue[:n] {
		if q := &e.queue[i]; q.sent != nil {
			close(q.sent)
			q.sent = nil
		}
	}
}

// Run carries events to and from the shared log until ctx ends; then it sends what is left.
func (e *Events) Run(ctx context.Context, l *events.Log) {
	e.log = l
	var wg sync.WaitGroup
	wg.Go(func() { e.publish(ctx) })
	wg.Go(func() { e.follow(ctx) })
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
	defer cancel()
	_ = e.flush(last) // a replica that stops without Redis loses what waits
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	e.release(len(e.queue))
}

func (e *Events) publish(ctx context.Context) {
	for {
		if err := e.flush(ctx); err != nil && !retry.Sleep(ctx, retry.Jitter(lookEvery, 2)) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-e.wake:
		}
	}
}

// flush sends what is queued, in its order.
func (e *Events) flush(ctx context.Context) error {
	for {
		raw, first, over := e.head()
		if over {
			if err := e.store.do(ctx, func(ctx context.Context) error { return e.store.client.Del(ctx, e.keys()[0]).Err() }); err != nil {
				return e.again(err)
			}
			e.announced()
		}
		if len(raw) == 0 {
			return nil
		}
		if _, err := e.append(ctx, first, raw...); err != nil {
			return e.again(err)
		}
		e.done(first, len(raw))
	}
}

// again has the queue looked at again after a failure. Nobody waits for it any more.
func (e *Events) again(err error) error {
	e.mu.Lock()
	e.release(len(e.queue))
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return err
}

// head is the beginning of the queue with the number of its first event, and whether events
// were given up.
func (e *Events) head() (raw []any, first uint64, over bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, q := range e.queue[:min(len(e.queue), together)] {
		raw = append(raw, q.raw)
	}
	return raw, e.first, e.over
}

// announced notes that everybody will be told of a loss.
func (e *Events) announced() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = false
}

// done takes n events off the queue.
func (e *Events) done(first uint64, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.first == first { // or they were given up meanwhile
		e.release(n)
		e.queue, e.first = e.queue[n:], e.first+uint64(n)
	}
}

// keys are those of the log: its key, its last number, its events, the last event of this
// replica. They are in one slot.
func (e *Events) keys() []string {
	p := e.store.prefix + "events:{log}:"
	return []string{p + "key", p + "seq", p + "stream", p + "origin:" + e.origin}
}

// append sends events, or none, and returns the key of the log.
func (e *Events) append(ctx context.Context, first uint64, raw ...any) (key string, err error) {
	args := append([]any{rand.Text(), first, kept, e.origin, originExpiry.Milliseconds()}, raw...)
	err = e.store.do(ctx, func(ctx context.Context) error {
		key, err = e.store.append.Run(ctx, e.store.client, e.keys(), args...).Text()
		return err
	})
	return key, err
}

// follow reads the shared log.
func (e *Events) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if err := e.read(ctx); err != nil && !retry.Sleep(ctx, retry.Jitter(lookEvery, 2)) {
			return
		}
	}
}

// read takes what is new, and waits a while for it. A log of another key is read from its
// beginning.
func (e *Events) read(ctx context.Context) error {
	key, err := e.append(ctx, 0)
	if err != nil {
		return err
	}
	if key != e.known {
		return e.begin(ctx, key)
	}
	within, cancel := context.WithTimeout(ctx, newsTimeout)
	defer cancel()
	found, err := e.store.client.XRead(within, &goredis.XReadArgs{
		Streams: []string{e.keys()[2], fmt.Sprintf("%d-0", e.last)}, Count: newsMost, Block: newsWait,
	}).Result()
	if errors.Is(err, goredis.Nil) || ctx.Err() != nil {
		return nil
	}
	if err != nil {
		e.store.lost(err)
		return err
	}
	for _, stream := range found { // one
		for _, m := range stream.Messages {
			if n, foreign, ok := e.take(m); ok {
				e.log.Arrive(n.Seq, n.Event, foreign)
			}
		}
	}
	retry.Sleep(ctx, newsPause)
	return nil
}

// begin reads a log for the first time: as many of its last events as a log holds, whatever
// more somebody has put there, and those page by page.
func (e *Events) begin(ctx context.Context, key string) error {
	lost, end, err := e.bounds(ctx)
	if err != nil {
		return err
	}
	e.known, e.last, e.told = "", lost, map[finding]told{} // known when all of it is read
	var held []events.Numbered
	for e.last < end {
		page, err := e.page(ctx, end)
		if err != nil {
			return err
		}
		if len(page) == 0 { // what was there has been pushed out
			held, lost, e.last = nil, end, end
			break
		}
		if first := seqOf(page[0]); first > e.last+1 { // the beginning of it has
			held, lost = nil, first-1
		}
		held = append(held, e.takeAll(page)...)
	}
	e.known = key
	e.log.Restart(sha256.Sum256([]byte(key+"\x00"+e.store.secret)), lost, held)
	return nil
}

// bounds are the last event that is not to be read, and the last one that is.
func (e *Events) bounds(ctx context.Context) (lost, end uint64, err error) {
	within, cancel := context.WithTimeout(ctx, newsTimeout)
	defer cancel()
	last, err := e.store.client.XRevRangeN(within, e.keys()[2], "+", "-", 1).Result()
	if err != nil || len(last) == 0 {
		return 0, 0, err
	}
	first, err := e.store.client.XRangeN(within, e.keys()[2], "-", "+", 1).Result()
	if err != nil || len(first) == 0 {
		return 0, 0, err
	}
	end = seqOf(last[0])
	return max(seqOf(first[0]), max(end, kept)-kept+1) - 1, end, nil
}

// page reads what follows the last event that was read.
func (e *Events) page(ctx context.Context, end uint64) ([]goredis.XMessage, error) {
	within, cancel := context.WithTimeout(ctx, newsTimeout)
	defer cancel()
	return e.store.client.XRangeN(within, e.keys()[2], fmt.Sprintf("%d-0", e.last+1), fmt.Sprintf("%d", end), newsMost).Result()
}

// takeAll reads the entries of a page, one of each number: others are none of ours.
func (e *Events) takeAll(page []goredis.XMessage) (held []events.Numbered) {
	for _, m := range page {
		if seqOf(m) <= e.last {
			continue
		}
		if n, _, ok := e.take(m); ok {
			held = append(held, n)
		}
	}
	return held
}

// take reads an entry. It is not ok for one that is no event, or that others tell of.
func (e *Events) take(m goredis.XMessage) (n events.Numbered, foreign, ok bool) {
	var r record
	text, _ := m.Values["e"].(string)
	origin, _ := m.Values["o"].(string)
	e.last = seqOf(m)
	if json.Unmarshal([]byte(text), &r) != nil {
		return n, false, false
	}
	p, err := call.ParsePath(r.Path)
	if err != nil && r.Path != "" {
		return n, false, false
	}
	n = events.Numbered{Seq: e.last, Event: events.Event{
		Kind: r.Kind, Op: r.Op, Mount: r.Mount, Path: p, Version: r.Version, Subject: r.Subject, Source: r.Source, Time: r.Time, Owner: r.Owner, State: r.State,
	}}
	return n, origin != e.origin, !e.repeats(r, origin)
}

// finding is a change that a replica has found past the gateway, as others will.
type finding struct {
	source      events.Source
	mount, path string
	version     int
	state       string
}

// told is which replica's word of a finding was told, and when that was.
type told struct {
	origin string
	at     time.Time
}

// The time in which several replicas find the same change, and how many changes are
// remembered for it.
const (
	foundWithin = 10 * time.Second
	foundMost   = 4096
)

// repeats reports whether another replica's word of the same finding was told just now. It
// goes by what is in the log alone, so that every replica tells the same.
func (e *Events) repeats(r record, origin string) bool {
	if r.Kind != events.ResourceChanged || r.Source == events.FromGateway {
		return false
	}
	f := finding{r.Source, r.Mount, r.Path, r.Version, r.State}
	if was, ok := e.told[f]; ok && was.origin != origin && r.Time.Sub(was.at).Abs() < foundWithin {
		return true
	}
	if len(e.told) >= foundMost {
		clear(e.told)
	}
	e.told[f] = told{origin, r.Time}
	return false
}

// seqOf is the number of an event: the first part of its id in the stream.
func seqOf(m goredis.XMessage) uint64 {
	text, _, _ := strings.Cut(m.ID, "-")
	n, _ := strconv.ParseUint(text, 10, 64) // the script made it
	return n
}
