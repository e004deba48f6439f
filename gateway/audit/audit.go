// Package audit is the evidence: an intent line is in the file before an effect,
// a refusal line before its answer, an outcome line behind it. A line that cannot
// be written refuses the call.
package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"portcullis/gateway/op"
)

// Log appends records to one file, one JSON object a line. write(2) has returned
// when a method returns, so a killed process loses no line. A file that could not
// be opened or written is tried again with the next record.
type Log struct {
	path   string
	sync   bool
	filter func(dst, line []byte) []byte

	mu   sync.Mutex // guards the fields below and keeps lines whole
	file *os.File
	size int64  // of the file, to cut off half a line; -1 when it is not a regular file
	raw  []byte // a record before the filter
	buf  []byte // what is written
	seq  uint64

	syncMu sync.Mutex // held by the one who calls fsync for everybody before it
	synced uint64
}

// Config says where the evidence goes.
type Config struct {
	Path string
	// Group lets every record be followed by an fsync that it shares with the records
	// written meanwhile.
	Group bool
	// Filter sees every line, without its end, before it is written. It appends what is
	// written to dst and must not keep the slices. Optional.
	Filter func(dst, line []byte) []byte
}

// Open makes a log. The file is opened with the first record; Check tells early
// whether it can be.
func Open(c Config) *Log { return &Log{path: c.Path, sync: c.Group, filter: c.Filter} }

// Check opens the file, if it is not open, and reports whether that works.
func (l *Log) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open()
}

// Close closes the file; the next record opens it again, so Close is also how a
// rotated file is let go.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.close()
}

func (l *Log) close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// Intent records what is about to be done.
func (l *Log) Intent(r *op.Record) error { return l.write("intent", r) }

// Refusal records a call that is denied, limited or cannot be decided, and one whose
// arguments do not bind: of those it keeps nothing, because nobody knows what they are.
func (l *Log) Refusal(r *op.Record) error { return l.write("refusal", r) }

// Outcome records what came of an intent.
func (l *Log) Outcome(r *op.Record) error { return l.write("outcome", r) }

func (l *Log) write(kind string, r *op.Record) error {
	f, seq, err := l.appendLine(kind, r)
	if err == nil && l.sync {
		err = l.flush(f, seq)
	}
	if err != nil {
		failures.Inc()
		return fmt.Errorf("write audit record: %w", err)
	}
	return nil
}

func (l *Log) appendLine(kind string, r *op.Record) (*os.File, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.open(); err != nil {
		return nil, 0, err
	}
	var err error
	if l.raw, err = appendRecord(l.raw[:0], kind, r); err != nil {
		return nil, 0, err
	}
	if l.filter != nil {
		l.buf = l.filter(l.buf[:0], l.raw)
	} else {
		l.buf = append(l.buf[:0], l.raw...)
	}
	l.buf = append(l.buf, '\n')
	n, err := l.file.Write(l.buf)
	if err != nil {
		l.cut(n)
		return nil, 0, err
	}
	if l.size >= 0 {
		l.size += int64(n)
	}
	l.seq++
	return l.file, l.seq, nil
}

// cut removes half a line and lets the file go, so that the next record begins
// with a look at what is there.
func (l *Log) cut(n int) {
	if n > 0 && l.size >= 0 {
		_ = l.file.Truncate(l.size) // the error that led here is reported
	}
	_ = l.close()
}

func (l *Log) open() error {
	if l.file != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, -1
	if st.Mode().IsRegular() {
		l.size = st.Size()
	}
	return nil
}

// flush makes everything up to seq durable. Those who wait for the lock find that
// the one before them has done it for them.
func (l *Log) flush(f *os.File, seq uint64) error {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	if l.synced >= seq {
		return nil
	}
	l.mu.Lock()
	upTo := l.seq
	l.mu.Unlock()
	if err := f.Sync(); err != nil {
		return err
	}
	l.synced = upTo
	return nil
}
