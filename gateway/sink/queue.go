package sink

import (
	"slices"
	"sync"
)

// A batch is full with so many bytes or lines.
const (
	batchBytes = 1 << 20
	batchLines = 1000
)

// batch is lines that are delivered together. Once it is sealed it never changes, but
// for where its lines lie.
type batch struct {
	number uint64 // counts the batches of a sink
	lines  []byte // each with its newline; nil when they are only on disk
	count  int
	bytes  int64
	file   string // on disk, empty for none
}

// queue is the lines of one sink that were not delivered yet, oldest first.
type queue struct {
	max   int64         // bytes in memory
	batch int64         // bytes with which a batch is full
	wake  chan struct{} // has a token when there is something to deliver
	press chan struct{} // has a token when memory should go to disk

	mu      sync.Mutex // guards what follows
	open    *batch     // being filled; nil for none
	sealed  []*batch
	number  uint64 // of the next batch
	memory  int64  // bytes
	disk    int64  // bytes
	waiting int    // lines
	lost    uint64
}

// newQueue bounds memory and batches, of which several fit into memory and into a spool.
func newQueue(limit, spool int64) *queue {
	batch := min(batchBytes, limit/4)
	if spool > 0 {
		batch = min(batch, spool/4)
	}
	return &queue{max: limit, batch: batch, wake: make(chan struct{}, 1), press: make(chan struct{}, 1)}
}

// offer copies a line, or counts it as lost when memory is full.
func (q *queue) offer(line []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := int64(len(line) + 1)
	if q.memory+n > q.max {
		q.lost++
		signal(q.press)
		return
	}
	if q.open == nil {
		q.open = &batch{number: q.number}
		q.number++
	}
	b := q.open
	b.lines = append(append(b.lines, line...), '\n')
	b.count++
	b.bytes += n
	q.memory += n
	q.waiting++
	if b.bytes >= q.batch || b.count >= batchLines {
		q.seal()
	}
	signal(q.wake)
	if q.memory > q.max/2 {
		signal(q.press)
	}
}

func (q *queue) seal() {
	if q.open != nil {
		q.sealed = append(q.sealed, q.open)
		q.open = nil
	}
}

// head is the oldest batch as it is now; there is none when nothing waits.
func (q *queue) head() (b batch, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.sealed) == 0 {
		q.seal()
	}
	if len(q.sealed) == 0 {
		return b, false
	}
	return *q.sealed[0], true
}

// pop removes the head, which was delivered, or is lost.
func (q *queue) pop(lost bool) (file string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.sealed[0]
	q.sealed[0] = nil
	q.sealed = q.sealed[1:]
	q.waiting -= b.count
	if lost {
		q.lost += uint64(b.count) //nolint:gosec // not negative
	}
	if b.lines != nil {
		q.memory -= b.bytes
	}
	if b.file != "" {
		q.disk -= b.bytes
	}
	return b.file
}

// inMemory is the oldest batch that is not on disk, as it is now, with the one before
// it when that is on disk, is not the head and has room for both.
func (q *queue) inMemory() (b, before batch, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.seal()
	i := slices.IndexFunc(q.sealed, func(b *batch) bool { return b.file == "" })
	if i < 0 {
		return b, before, false
	}
	b = *q.sealed[i]
	if i > 1 && q.sealed[i-1].bytes+b.bytes <= q.batch && q.sealed[i-1].count+b.count <= batchLines {
		before = *q.sealed[i-1]
	}
	return b, before, true
}

// joined notes that the lines of a batch lie behind those of the one before it.
func (q *queue) joined(number uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.sealed, func(b *batch) bool { return b.number == number })
	b, before := q.sealed[i], q.sealed[i-1] // one.disk keeps them here
	before.bytes += b.bytes
	before.count += b.count
	q.memory -= b.bytes
	q.disk += b.bytes
	q.sealed = slices.Delete(q.sealed, i, i+1)
}

// stored notes that the batch with this number lies on disk. Of the head, the lines
// that are on their way are kept by the delivery.
func (q *queue) stored(number uint64, file string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.sealed, func(b *batch) bool { return b.number == number })
	b := q.sealed[i] // one.disk keeps it here
	b.file = file
	q.disk += b.bytes
	b.lines = nil
	q.memory -= b.bytes
}

// found puts batches of an earlier run before everything else.
func (q *queue) found(bs []*batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	shift := uint64(0)
	for _, b := range bs {
		q.disk += b.bytes
		q.waiting += b.count
		shift = b.number + 1
	}
	for _, b := range q.sealed {
		b.number += shift
	}
	if q.open != nil {
		q.open.number += shift
	}
	q.number += shift
	q.sealed = append(bs, q.sealed...)
}

// fits reports whether so many bytes have room on disk.
func (q *queue) fits(n, limit int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.disk+n <= limit
}

// unstored is how many lines are in memory alone.
func (q *queue) unstored() (lines int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.seal()
	for _, b := range q.sealed {
		if b.file == "" {
			lines += b.count
		}
	}
	return lines
}

// crowded reports whether memory is half full.
func (q *queue) crowded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.memory > q.max/2
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
