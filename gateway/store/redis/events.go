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
	kept    = 16384
	waiting = 4096
)

// How long one look at the log waits for news, how many events it takes, and how long it
// is remembered which event of a replica was the last.
const (
	newsWait     = 500 * time.Millisecond
	newsMost     = 512
	newsTimeout  = 5 * time.Second
	originExpiry = 24 * time.Hour
)

// appendSource appends an event once, however often it is sent: a replica numbers its
// events. It begins a new log, of another key, where there is none. Event 0 is none.
const appendSource = `
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then
  redis.call('DEL', KEYS[3], KEYS[4])
  redis.call('SET', KEYS[1], ARGV[1])
  redis.call('SET', KEYS[2], 0)
end
local n = tonumber(ARGV[2])
if n > tonumber(redis.call('GET', KEYS[4]) or 0) then
  local seq = redis.call('INCR', KEYS[2])
  redis.call('XADD', KEYS[3], 'MAXLEN', ARGV[3], seq .. '-0', 'o', ARGV[4], 'e', ARGV[5])
  redis.call('SET', KEYS[4], n, 'PX', ARGV[6])
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
	queue [][]byte   // what is to be published, oldest first
	first uint64     // number of its first event
	over  bool       // too many waited
	wake  chan struct{}
}

// NewEvents makes the way to the shared log. Send is its way in, Run does the rest.
func (s *Store) NewEvents() *Events {
	return &Events{store: s, origin: rand.Text(), first: 1, wake: make(chan struct{}, 1)}
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
}

// Send queues an event for the shared log and waits for nothing.
func (e *Events) Send(ev events.Event) {
	raw, err := json.Marshal(record{ev.Kind, ev.Op, ev.Mount, ev.Path.String(), ev.Version, ev.Subject, ev.Source, ev.Time, ev.Owner})
	if err != nil {
		return // texts and numbers cannot fail
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) >= waiting {
		e.first += uint64(len(e.queue))
		e.queue, e.over = nil, true
	}
	e.queue = append(e.queue, raw)
	select {
	case e.wake <- struct{}{}:
	default:
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
	_ = e.flush(last) // who stops without Redis loses what waits
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
		raw, n, over := e.head()
		if over {
			if err := e.store.do(ctx, func(ctx context.Context) error { return e.store.client.Del(ctx, e.keys()[0]).Err() }); err != nil {
				return e.again(err)
			}
			e.done(0, true)
		}
		if raw == nil {
			return nil
		}
		if _, err := e.append(ctx, n, raw); err != nil {
			return e.again(err)
		}
		e.done(n, false)
	}
}

// again has the queue looked at again after a failure.
func (e *Events) again(err error) error {
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return err
}

// head is the first event of the queue with its number, and whether events were given up.
func (e *Events) head() ([]byte, uint64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 {
		return nil, 0, e.over
	}
	return e.queue[0], e.first, e.over
}

// done takes an event off the queue, or notes that everybody will be told of a loss.
func (e *Events) done(n uint64, told bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if told {
		e.over = false
	}
	if len(e.queue) > 0 && e.first == n {
		e.queue, e.first = e.queue[1:], e.first+1
	}
}

// keys are those of the log: its key, its last number, its events, the last event of this
// replica. They are in one slot.
func (e *Events) keys() []string {
	p := e.store.prefix + "events:{log}:"
	return []string{p + "key", p + "seq", p + "stream", p + "origin:" + e.origin}
}

// append sends an event, or none, and returns the key of the log.
func (e *Events) append(ctx context.Context, n uint64, raw []byte) (key string, err error) {
	err = e.store.do(ctx, func(ctx context.Context) error {
		key, err = e.store.append.Run(ctx, e.store.client, e.keys(), rand.Text(), n, kept, e.origin, raw, originExpiry.Milliseconds()).Text()
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
	key, err := e.append(ctx, 0, nil)
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
	for _, m := range found[0].Messages {
		if n, foreign, ok := e.take(m); ok {
			e.log.Arrive(n.Seq, n.Event, foreign)
		}
	}
	return nil
}

// begin reads a log for the first time.
func (e *Events) begin(ctx context.Context, key string) error {
	within, cancel := context.WithTimeout(ctx, newsTimeout)
	defer cancel()
	found, err := e.store.client.XRange(within, e.keys()[2], "-", "+").Result()
	if err != nil {
		return err
	}
	lost := uint64(0)
	if len(found) > 0 {
		lost = seqOf(found[0]) - 1
	}
	e.known, e.last, e.told = key, lost, map[finding]told{}
	var held []events.Numbered
	for _, m := range found {
		if n, _, ok := e.take(m); ok {
			held = append(held, n)
		}
	}
	e.log.Restart(sha256.Sum256([]byte(key+"\x00"+e.store.secret)), lost, held)
	return nil
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
		Kind: r.Kind, Op: r.Op, Mount: r.Mount, Path: p, Version: r.Version, Subject: r.Subject, Source: r.Source, Time: r.Time, Owner: r.Owner,
	}}
	return n, origin != e.origin, !e.repeats(r, origin)
}

// finding is a change that a replica has found past the gateway, as others will.
type finding struct {
	source      events.Source
	mount, path string
	version     int
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
	f := finding{r.Source, r.Mount, r.Path, r.Version}
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
