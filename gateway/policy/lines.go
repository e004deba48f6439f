package policy

import (
	"bytes"
	"errors"
	"sync"
	"time"

	"portcullis/gateway/policy/archive"
)

const (
	// waitingBytes of lines wait for the disk before further ones are dropped and counted:
	// the audit log is the evidence, this log is for replay.
	waitingBytes = 4 << 20
	// writtenBytes of lines are written at once.
	writtenBytes = 256 << 10
	// flushEvery is how long a line waits for others before all of them are written
	// together. A decision is in memory for longer than that.
	flushEvery = 20 * time.Millisecond
)

// lines writes the lines of the decision log. Whoever has a line appends it to those that
// wait, and the writer is woken once for all of them: waking it for each costs more than
// a line.
type lines struct {
	file  *archive.Archive
	spare sync.Pool // of *[]byte, for a line that is being made

	mu     sync.Mutex // guards text and closed
	text   []byte     // what waits
	closed bool

	wake  chan struct{} // has one entry when something waits, or enough to be written
	asked chan chan struct{}
	end   chan struct{}
	done  chan struct{} // closed when the writer has ended
	other []byte        // what was written last, to be used again
	err   error         // of the last write, read after done
}

func newLines(f *archive.Archive) *lines {
	w := &lines{
		file: f, wake: make(chan struct{}, 1),
		asked: make(chan chan struct{}), end: make(chan struct{}), done: make(chan struct{}),
	}
	go w.run()
	return w
}

// add appends a line that encode makes. It never waits for the disk: where too much waits
// already, the line is dropped.
func (w *lines) add(encode func([]byte) ([]byte, error)) {
	if !w.room(0) {
		logDropped.Inc()
		return
	}
	line, ok := w.spare.Get().(*[]byte)
	if !ok {
		line = new([]byte)
	}
	text, err := encode((*line)[:0])
	if err != nil || !w.put(text) {
		logDropped.Inc()
	}
	if *line = text; cap(text) <= writtenBytes {
		w.spare.Put(line)
	}
}

// room tells whether as many bytes more may wait.
func (w *lines) room(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.closed && len(w.text)+n < waitingBytes
}

// put appends a line to what waits, and wakes the writer for the first and for enough.
func (w *lines) put(line []byte) bool {
	w.mu.Lock()
	before := len(w.text)
	if w.closed || before+len(line) >= waitingBytes {
		w.mu.Unlock()
		return false
	}
	w.text = append(append(w.text, line...), '\n')
	now := len(w.text)
	w.mu.Unlock()
	if before == 0 || before < writtenBytes && now >= writtenBytes {
		select {
		case w.wake <- struct{}{}:
		default: // it is awake
		}
	}
	return true
}

// run writes what waits, until the end.
func (w *lines) run() {
	defer close(w.done)
	var due <-chan time.Time // nil when nothing waits
	for {
		select {
		case <-w.wake:
			if !w.room(waitingBytes - writtenBytes) {
				w.write()
			} else if due == nil {
				due = time.After(flushEvery)
			}
		case <-due:
			due = nil
			w.write()
		case written := <-w.asked:
			w.write()
			close(written)
		case <-w.end:
			w.write()
			return
		}
	}
}

// write writes what waits.
func (w *lines) write() {
	w.mu.Lock()
	text := w.text
	w.text = w.other[:0]
	w.mu.Unlock()
	for line := range bytes.Lines(text) {
		if err := w.file.Write(line); err != nil {
			w.err = err
			logDropped.Inc()
		}
	}
	if err := w.file.Flush(); err != nil {
		w.err = err
	}
	w.other = nil
	if cap(text) <= waitingBytes/2 {
		w.other = text
	}
}

// flush returns when what waits is written.
func (w *lines) flush() {
	written := make(chan struct{})
	select {
	case w.asked <- written:
		<-written
	case <-w.done:
	}
}

// close writes what waits and closes the file. What comes later is dropped.
func (w *lines) close() error {
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	w.mu.Unlock()
	if !first {
		return nil
	}
	close(w.end)
	<-w.done
	return errors.Join(w.err, w.file.Close())
}
