package obs

import (
	"bufio"
	"errors"
	"io"
	"sync"
	"time"
)

// The lines of a log file are written together: a log is for people, and not the
// evidence, which waits for every line.
const (
	bufferSize = 64 << 10
	flushEvery = 20 * time.Millisecond
)

// buffer collects lines for a file.
type buffer struct {
	mu   sync.Mutex // guards w and due
	w    *bufio.Writer
	due  *time.Timer // flushes what waits; nil when nothing does
	file io.WriteCloser
}

func newBuffer(file io.WriteCloser) *buffer {
	return &buffer{w: bufio.NewWriterSize(file, bufferSize), file: file}
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.w.Available() < len(p) {
		_ = b.w.Flush() // whole lines go to the file, which may be rotated between two writes
	}
	n, err := b.w.Write(p)
	if b.due == nil {
		b.due = time.AfterFunc(flushEvery, func() { _ = b.Flush() }) // the next Write has the error too
	}
	return n, err
}

// Flush writes what waits.
func (b *buffer) Flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.due = nil
	err := b.w.Flush()
	if err != nil {
		b.w.Reset(b.file) // a bufio.Writer keeps its first error for ever; the file may be back
	}
	return err
}

// Close writes what waits and closes the file.
func (b *buffer) Close() error { return errors.Join(b.Flush(), b.file.Close()) }
