package inspect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"portcullis/gateway/audit"
)

// Tail writes the last records of the current file of evidence, and with Follow those
// that come, into further files too when that one is renamed, removed or cut.
type Tail struct {
	File   string
	Last   int // records that are there already
	Follow bool
	Want   Filter
	JSON   bool
	Every  time.Duration // how often the file is looked at
}

// Run writes until the end, or with Follow until ctx ends.
func (t Tail) Run(ctx context.Context, out io.Writer) error {
	f, err := os.Open(t.File)
	if err != nil {
		return Usage{err}
	}
	defer func() { _ = f.Close() }() // it was only read
	w := &tailing{Tail: t, table: table{out: out}}
	lines, at, err := w.last(f)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if err := w.line(l); err != nil {
			return err
		}
	}
	if err := w.table.flush(); err != nil || !t.Follow {
		return err
	}
	return w.follow(ctx, f, at)
}

type tailing struct {
	Tail
	table table
	rest  []byte // a line that has no end yet
	skip  bool   // its beginning was too long to be a record, and is left out
}

// maxRest is how much is kept of a line that has no end yet.
const maxRest = 4 << 20

// last returns the last lines that are asked for, and the place behind them.
func (w *tailing) last(f *os.File) (lines [][]byte, at int64, err error) {
	s := audit.NewScanner(f)
	for s.Scan() && s.Ended() {
		at += s.Size() + 1
		if w.Last == 0 || !w.wants(s.Bytes()) {
			continue
		}
		if lines = append(lines, slices.Clone(s.Bytes())); len(lines) > w.Last {
			lines = slices.Delete(lines, 0, 1)
		}
	}
	return lines, at, s.Err()
}

func (w *tailing) wants(line []byte) bool {
	r, err := ParseRecord(line)
	return err == nil && w.Want.Match(&r)
}

func (w *tailing) line(line []byte) error {
	r, err := ParseRecord(line)
	if err != nil || !w.Want.Match(&r) {
		return nil
	}
	if w.JSON {
		_, err := w.table.out.Write(append(slices.Clip(line), '\n'))
		return err
	}
	return w.table.row(&r)
}

// follow writes what comes. A file that has lost its name is read to its end before the
// one that has it now.
func (w *tailing) follow(ctx context.Context, f *os.File, at int64) error {
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for {
		next, err := w.moved(f, at)
		if err != nil {
			return err
		}
		if at, err = w.more(f, at); err != nil {
			return err
		}
		if next != nil {
			if next != f {
				_ = f.Close() // it was only read
			}
			f, at, w.rest, w.skip = next, 0, nil, false
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// moved returns the file that has the name now, nil while that is the open one: itself
// when it was cut.
func (w *tailing) moved(f *os.File, at int64) (*os.File, error) {
	named, err := os.Stat(w.File)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // the next one is not there yet
	}
	if err != nil {
		return nil, err
	}
	open, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !os.SameFile(open, named):
		return os.Open(w.File)
	case open.Size() < at:
		return f, nil
	}
	return nil, nil
}

// more writes the lines behind a place, and returns the place behind them.
func (w *tailing) more(f *os.File, at int64) (int64, error) {
	buf := make([]byte, 256<<10)
	for {
		n, err := f.ReadAt(buf, at)
		at += int64(n)
		w.rest = append(w.rest, buf[:n]...)
		for {
			line, rest, whole := bytes.Cut(w.rest, []byte("\n"))
			if !whole {
				break
			}
			if !w.skip {
				if err := w.line(line); err != nil {
					return at, err
				}
			}
			w.rest, w.skip = rest, false
		}
		if len(w.rest) > maxRest {
			w.rest, w.skip = w.rest[:0], true
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return at, err
		}
		if n < len(buf) {
			return at, w.table.flush()
		}
	}
}
