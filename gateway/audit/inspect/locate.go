package inspect

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/audit"
)

// A decision is made before its intent is written, and its outcome follows within the
// time that a call may take.
const (
	locateBefore = time.Minute
	locateAfter  = 15 * time.Minute
)

// locate finds the line with a number, or the lines of a decision, without reading more
// of the files than it must: a file is searched by halves, and a decision's id says when
// it was made. It finds nothing when the files are not in that order.
func locate(files []string, id string) ([]Line, error) {
	if seq, err := strconv.ParseUint(id, 10, 64); err == nil {
		return scanFrom(files, func(r *head) bool { return r.Seq >= seq }, func(line []byte) (at uint64, keep, stop bool) {
			h, ok := parseHead(line)
			return h.Seq, ok && h.Seq == seq, ok && h.Seq >= seq
		})
	}
	made, ok := madeAt(id)
	if !ok {
		return nil, nil
	}
	from, d := made.Add(-locateBefore), decision{id: id, until: made.Add(locateAfter)}
	return scanFrom(files, func(r *head) bool { return !r.Time.Before(from) }, d.pick)
}

// decision looks for the lines of one.
type decision struct {
	id    string
	until time.Time
	other int // lines that are not its own
}

// timeEvery is how many lines are passed over until the time of one is read.
const timeEvery = 256

// pick reads a line only where the id is in it: there may be hundreds of thousands of
// others in between.
func (d *decision) pick(line []byte) (seq uint64, keep, stop bool) {
	if bytes.Contains(line, []byte(d.id)) {
		r, err := ParseRecord(line)
		keep = err == nil && r.DecisionID == d.id
		return r.Seq, keep, keep && (r.Type == "refusal" || r.Type == "outcome")
	}
	if d.other++; d.other%timeEvery != 0 {
		return 0, false, false
	}
	h, ok := parseHead(line)
	return 0, false, ok && h.Time.After(d.until)
}

// madeAt is when a decision was made, by the milliseconds in its id (the ULID form).
func madeAt(id string) (time.Time, bool) {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	if len(id) != 26 {
		return time.Time{}, false
	}
	var ms int64
	for _, c := range strings.ToLower(id[:10]) {
		d := strings.IndexRune(digits, c)
		if d < 0 {
			return time.Time{}, false
		}
		ms = ms<<5 | int64(d)
	}
	return time.UnixMilli(ms), true
}

// scanFrom reads from the first line on that is not before what is looked for.
func scanFrom(files []string, reached func(*head) bool, pick func(line []byte) (seq uint64, keep, stop bool)) (found []Line, err error) {
	first := 0
	for i := len(files) - 1; i > 0; i-- {
		if h, ok := firstHead(files[i]); ok && !reached(&h) {
			first = i
			break
		}
	}
	done := false
	for i, name := range files[first:] {
		err := scanFile(name, i == 0, reached, func(line []byte) error {
			seq, keep, stop := pick(line)
			if keep {
				found = append(found, Line{File: name, Seq: seq, Text: slices.Clone(line)})
			}
			if stop {
				done = true
				return errEnough
			}
			return nil
		})
		if done || err != nil {
			return found, err
		}
	}
	return found, nil
}

// scanFile reads a file, from the place on where what is looked for may begin.
func scanFile(name string, search bool, reached func(*head) bool, each func(line []byte) error) error {
	f, err := audit.OpenSegment(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	if plain, ok := f.(*os.File); ok && search {
		if err := seek(plain, reached); err != nil {
			return err
		}
	}
	s := audit.NewScanner(f)
	for s.Scan() {
		if err := each(s.Bytes()); err != nil {
			if errors.Is(err, errEnough) {
				return nil
			}
			return err
		}
	}
	return s.Err()
}

// seek sets a file to the beginning of a line that is before what is looked for, or to
// the first that is not.
func seek(f *os.File, reached func(*head) bool) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	from, to := int64(0), st.Size()
	for to-from > 256<<10 {
		middle := from + (to-from)/2
		h, at, err := headAt(f, middle)
		if err != nil || at >= to || reached(&h) {
			to = middle
			continue
		}
		from = at
	}
	_, err = f.Seek(from, io.SeekStart)
	return err
}

// headAt reads the first line that begins behind a place.
func headAt(f *os.File, at int64) (h head, start int64, err error) {
	buf := make([]byte, 128<<10)
	n, err := f.ReadAt(buf, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return h, 0, err
	}
	skip := bytes.IndexByte(buf[:n], '\n') + 1
	line, _, whole := bytes.Cut(buf[skip:n], []byte("\n"))
	if skip == 0 || !whole {
		return h, 0, errEnough
	}
	h, ok := parseHead(line)
	if !ok {
		return h, 0, errEnough
	}
	return h, at + int64(skip), nil
}

// firstHead reads the first line of a file that is a record.
func firstHead(name string) (h head, ok bool) {
	_ = eachLine(name, func(n int, s *audit.Scanner) error { // one that cannot be read has none
		if h, ok = parseHead(s.Bytes()); ok || n > 16 {
			return errEnough
		}
		return nil
	})
	return h, ok
}
