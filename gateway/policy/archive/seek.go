package archive

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

// slack is how far lines may be out of the order of their times: decisions are made at
// the same time, and written by one after the other.
const slack = 10 * time.Second

// timeOf is when a decision was made, by the milliseconds in its id (the ULID form).
func timeOf(id string) (time.Time, bool) {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	if len(id) != 26 {
		return time.Time{}, false
	}
	var ms int64
	for _, c := range id[:10] {
		d := strings.IndexRune(digits, c)
		if d < 0 {
			return time.Time{}, false
		}
		ms = ms<<5 | int64(d)
	}
	return time.UnixMilli(ms), true
}

// idOf is the id of the decision that a line is about: the first member of that name.
func idOf(line []byte) string {
	_, rest, ok := bytes.Cut(line, []byte(`"id":"`))
	if !ok {
		return ""
	}
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(id)
}

// maxLine is the length up to which a line is searched for its neighbours.
const maxLine = 256 << 10

// seek returns the time of the first line, and a place before every line that is not
// older than a time.
func seek(f *os.File, from time.Time) (first time.Time, at int64, err error) {
	st, err := f.Stat()
	if err != nil {
		return first, 0, err
	}
	first, _ = timeAt(f, 0)
	low, high := int64(0), st.Size()
	for high-low > maxLine {
		middle := low + (high-low)/2
		if t, ok := timeAt(f, middle); ok && t.Before(from) {
			low = middle
			continue
		}
		high = middle
	}
	if low == 0 {
		return first, 0, nil
	}
	start, err := lineAfter(f, low)
	return first, start, err
}

// timeAt is the time of the first whole line behind a place that has an id.
func timeAt(f *os.File, at int64) (time.Time, bool) {
	buf := make([]byte, maxLine)
	n, err := f.ReadAt(buf, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return time.Time{}, false
	}
	buf = buf[:n]
	if at > 0 {
		buf = buf[bytes.IndexByte(buf, '\n')+1:]
	}
	for line := range bytes.Lines(buf) {
		if t, ok := timeOf(idOf(line)); ok {
			return t, true
		}
	}
	return time.Time{}, false
}

// lineAfter is where the first line begins behind a place.
func lineAfter(f *os.File, at int64) (int64, error) {
	buf := make([]byte, maxLine)
	n, err := f.ReadAt(buf, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return at + int64(bytes.IndexByte(buf[:n], '\n')+1), nil
}
