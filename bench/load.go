package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// record is what came of the requests of one turn.
type record struct {
	mu     sync.Mutex // guards the fields below
	times  *hdrhistogram.Histogram
	errors int
	first  error // of the errors
}

// newHistogram holds times in microseconds, up to a minute, with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Minute.Microseconds(), 3)
}

func (r *record) add(took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if r.errors++; r.errors == 1 {
			r.first = err
		}
		return
	}
	_ = r.times.RecordValue(max(1, min(took.Microseconds(), time.Minute.Microseconds()))) // it is in the range
}

// arrivals says when the requests of a turn are sent.
type arrivals struct {
	start time.Time
	end   time.Time
	rate  float64 // 0 for a closed loop
	burst int
	count int // of requests in a closed loop, 0 for no bound
	next  atomic.Int64
}

// wait returns the number of the next request and when its time begins. In an open loop
// that is its arrival, even when nobody was free to send it: a slow answer delays those
// that come behind it, and they say so.
func (a *arrivals) wait(ctx context.Context) (n int, began time.Time, ok bool) {
	n = int(a.next.Add(1) - 1)
	if a.rate == 0 {
		now := time.Now()
		return n, now, now.Before(a.end) && (a.count == 0 || n < a.count) && ctx.Err() == nil
	}
	group := n / a.burst * a.burst
	at := a.start.Add(time.Duration(float64(group) / a.rate * float64(time.Second)))
	if !at.Before(a.end) {
		return n, at, false
	}
	if d := time.Until(at); d > 0 {
		select {
		case <-ctx.Done():
			return n, at, false
		case <-time.After(d):
		}
	}
	return n, at, ctx.Err() == nil
}

// drive loads a target for a while, and at least with one request.
func drive(ctx context.Context, t *target, a *arrivals, connections int) (*record, error) {
	ctx, cancel := context.WithDeadline(ctx, a.end.Add(patience))
	defer cancel()
	r := &record{times: newHistogram()}
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() { t.work(ctx, a, r) })
	}
	wg.Wait()
	if r.times.TotalCount() == 0 {
		return nil, errors.Join(errors.New(t.name+": no request has succeeded"), r.first, ctx.Err())
	}
	return r, nil
}

// work sends requests over one connection until there are none left.
func (t *target) work(ctx context.Context, a *arrivals, r *record) {
	c := &client{to: t}
	defer c.close()
	for {
		n, began, ok := a.wait(ctx)
		if !ok && n > 0 {
			return
		}
		q := &t.requests[t.order[n%len(t.order)]]
		err := c.do(ctx, q)
		r.add(time.Since(began), err)
		if err != nil && !errors.Is(err, errRefused) && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond) // who refuses connections is not asked in a busy loop
		}
	}
}

// try sends every request once, so that a mistake in a scenario is found before a turn.
func (t *target) try(ctx context.Context) error {
	c := &client{to: t}
	defer c.close()
	for i := range t.requests {
		if err := c.do(ctx, &t.requests[i]); err != nil {
			return err
		}
	}
	return nil
}
