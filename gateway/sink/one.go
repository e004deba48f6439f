package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

const (
	defaultMemory  = 4 << 20
	defaultBackoff = 250 * time.Millisecond
	maxBackoff     = 30 * time.Second
	tellEvery      = time.Minute            // how often a sink that stays down is logged
	lingerHTTPS    = 200 * time.Millisecond // a request is dear, so lines wait for others
)

// one is a sink: its queue, its spool and the way to the other system.
type one struct {
	target target
	to     sender
	queue  *queue
	log    *slog.Logger
	first  time.Duration // wait after the first failure
	dir    string
	max    int64
	linger time.Duration // wait for more lines before a batch is delivered
	meter  meters

	disk  sync.Mutex // held while a batch goes to disk, and while one is removed
	spool *spool     // nil without one; set before disk is first used by a second goroutine

	mu       sync.Mutex // guards what follows
	down     time.Time  // first failure since the last success, zero when there was none
	told     time.Time  // when that was logged last
	toldLost uint64     // how many lost lines were logged
	failures uint64
	sent     uint64
	err      error // of the last attempt
	full     error // why the spool took no batch
}

func newOne(c Config, t target, to sender) *one {
	o := &one{
		target: t, to: to, queue: newQueue(cmp.Or(c.MemoryBytes, defaultMemory), c.SpoolBytes), log: c.Log,
		first: cmp.Or(c.Backoff, defaultBackoff), dir: c.spoolDir(t), max: c.SpoolBytes,
	}
	if t.kind == kindHTTPS {
		o.linger = lingerHTTPS
	}
	o.meter = newMeters(t.name)
	return o
}

// run delivers until ctx ends. Its batches go to disk meanwhile, when they must.
func (o *one) run(ctx context.Context) {
	o.open()
	var wg sync.WaitGroup
	wg.Go(func() { o.spill(ctx) })
	o.deliver(ctx)
	wg.Wait()
}

// open finds what an earlier run has left.
func (o *one) open() {
	if o.dir == "" || o.spool != nil {
		return
	}
	s, left, err := openSpool(o.dir, o.max)
	if err != nil {
		o.log.Error("the spool of an audit sink cannot be opened: while the sink is down, only memory keeps lines for it", "sink", o.target.name, "cause", err)
		o.cannotStore(err)
		return
	}
	o.spool = s
	o.queue.found(left)
	if len(left) > 0 {
		o.log.Info("an audit sink goes on with what an earlier run has left", "sink", o.target.name, "lines", o.status().Waiting)
	}
}

// deliver delivers batch by batch. After a failure it waits, longer each time.
func (o *one) deliver(ctx context.Context) {
	wait := o.first
	for {
		worked, err := o.next(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := time.Duration(0)
		switch {
		case err != nil:
			pause = max(wait/2+rand.N(wait), retryAfter(err)) //nolint:gosec // spreads retries
			wait = min(2*wait, maxBackoff)
		case worked:
			wait = o.first
			continue
		}
		if !o.rest(ctx, pause) || pause == 0 && o.linger > 0 && !o.rest(ctx, o.linger) {
			return
		}
	}
}

// rest waits for so long, or when that is 0 for something to deliver.
func (o *one) rest(ctx context.Context, pause time.Duration) bool {
	if pause == 0 {
		select {
		case <-ctx.Done():
			return false
		case <-o.queue.wake:
			return true
		}
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// next delivers the oldest batch; worked is false when there is none.
func (o *one) next(ctx context.Context) (worked bool, err error) {
	b, ok := o.queue.head()
	if !ok {
		return false, nil
	}
	if b.lines == nil {
		if b.lines, err = o.spool.read(b); errors.Is(err, errDamaged) {
			o.remove(true)
			o.log.Error("lines for an audit sink are lost, the audit file has them", "sink", o.target.name, "lines", b.count, "cause", err)
			return true, nil
		}
	}
	if err == nil {
		err = o.to.send(ctx, b)
	}
	if err != nil {
		if ctx.Err() == nil {
			o.failed(err)
		}
		return true, err
	}
	o.remove(false)
	o.succeeded(b.count)
	return true, nil
}

// remove takes the oldest batch away, its file included.
func (o *one) remove(lost bool) {
	o.disk.Lock()
	defer o.disk.Unlock()
	if file := o.queue.pop(lost); file != "" {
		_ = os.Remove(file) // one that stays is delivered again after a restart
	}
}

// spill writes batches to disk while the sink is down or memory fills.
func (o *one) spill(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.queue.press:
		case <-t.C:
		}
		if o.isDown() || o.queue.crowded() {
			o.store()
		}
		o.logLost()
	}
}

// store writes what is in memory to disk, oldest first, until that is full.
func (o *one) store() {
	for o.storeOne() {
	}
}

func (o *one) storeOne() bool {
	o.disk.Lock()
	defer o.disk.Unlock()
	if o.spool == nil {
		return false
	}
	b, before, ok := o.queue.inMemory()
	if !ok {
		o.cannotStore(nil)
		return false
	}
	if !o.queue.fits(b.bytes, o.max) {
		o.cannotStore(fmt.Errorf("the spool has reached AUDIT_SPOOL_BYTES (%d)", o.max))
		return false
	}
	if before.file != "" {
		if err := put(before.file, before.bytes, b.lines); err != nil {
			o.cannotStore(err)
			return false
		}
		o.queue.joined(b.number)
		return true
	}
	file, err := o.spool.write(b)
	if err != nil {
		o.cannotStore(err)
		return false
	}
	o.queue.stored(b.number, file)
	return true
}

// finish delivers what waits until ctx ends, and stores the rest.
func (o *one) finish(ctx context.Context) error {
	o.open()
	for ctx.Err() == nil && !o.isDown() {
		if worked, _ := o.next(ctx); !worked {
			break
		}
	}
	o.store()
	err := errors.Join(o.to.close(), o.spool.close())
	if n := o.queue.unstored(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%s: %d lines were not delivered and are in no spool; the audit file has them", o.target.name, n))
	}
	return err
}
