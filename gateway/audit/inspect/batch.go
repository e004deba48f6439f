package inspect

import (
	"crypto/sha256"
	"io"
	"runtime"
	"sync"

	"portcullis/gateway/audit"
)

// text is one line of a batch.
type text struct {
	from, to int // in the batch's buffer; of a very long line, its beginning
	size     int64
	sum      [sha256.Size]byte
	hashed   bool
	ended    bool // a newline ends it
}

// batch is some lines, whose hashes are worked out beside the reading.
type batch struct {
	buf   []byte
	lines []text
	done  chan struct{} // closed when they are hashed
	err   error         // ended the reading behind them
}

// How much of a file is hashed at a time: so many bytes, or so many lines, which may all be
// empty.
const (
	batchBytes = 256 << 10
	batchLines = 4096
)

// batches reads a file in batches, hashes several of them at once, and passes them on in
// their order.
func batches(r io.Reader, each func(*batch) error) error {
	workers := runtime.GOMAXPROCS(0)
	work, ready, stop := make(chan *batch), make(chan *batch, 2*workers), make(chan struct{})
	spare := make(chan *batch, 4*workers) // batches that can be used again
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for b := range work {
				b.hash()
				close(b.done)
			}
		})
	}
	running.Go(func() {
		defer close(ready)
		defer close(work)
		s := audit.NewScanner(r)
		for more := true; more; {
			b := &batch{}
			select {
			case b = <-spare:
			default:
			}
			b.fill(s)
			more = len(b.lines) > 0 && b.err == nil
			select {
			case ready <- b:
			case <-stop:
				return
			}
			work <- b
		}
	})
	var err error
	for b := range ready {
		if err != nil {
			continue
		}
		<-b.done
		if err = each(b); err != nil {
			close(stop)
		}
		select {
		case spare <- b:
		default:
		}
	}
	running.Wait()
	return err
}

// fill reads the next lines; there are none at the end.
func (b *batch) fill(s *audit.Scanner) {
	b.buf, b.lines, b.done = b.buf[:0], b.lines[:0], make(chan struct{})
	for len(b.buf) < batchBytes && len(b.lines) < batchLines && s.Scan() {
		line := s.Bytes()
		t := text{from: len(b.buf), size: s.Size(), ended: s.Ended()}
		if t.hashed = int64(len(line)) != s.Size(); t.hashed { // it is too long to be kept
			t.sum = s.Sum()
		}
		b.buf = append(b.buf, line...)
		t.to = len(b.buf)
		b.lines = append(b.lines, t)
	}
	b.err = s.Err()
}

func (b *batch) hash() {
	for i := range b.lines {
		if t := &b.lines[i]; !t.hashed {
			t.sum = sha256.Sum256(b.buf[t.from:t.to])
		}
	}
}
