package audit

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"time"

	"github.com/go-json-experiment/json"
)

// maxLine is the length up to which a line is read into memory. The log's own lines
// stay far below it.
const maxLine = 1 << 20

// ending is what the end of a file tells.
type ending struct {
	whole   link // of the last line that ends in a newline
	last    link // of the last line, whole or not: what the next one refers to
	chained bool // one of them has a number
	torn    int64
}

// readTail reads the end of a file.
func readTail(f io.ReaderAt, size int64) (t ending, err error) {
	if size == 0 {
		return t, nil
	}
	end, err := lastNewline(f, size)
	if err != nil {
		return t, err
	}
	if t.torn = size - end; end > 0 {
		begin, err := lastNewline(f, end-1)
		if err != nil {
			return t, err
		}
		if t.whole, t.chained, err = readLink(f, begin, end-1); err != nil {
			return t, err
		}
	}
	t.last = t.whole
	if t.torn == 0 {
		return t, nil
	}
	part, chained, err := readLink(f, end, size)
	t.last.sum, t.chained = part.sum, t.chained || chained
	if chained {
		t.last.seq = part.seq // only its newline is missing
	}
	return t, err
}

// lastNewline returns the place behind the last newline before end, 0 when there is
// none.
func lastNewline(f io.ReaderAt, end int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for end > 0 {
		n := min(end, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], end-n); err != nil && err != io.EOF {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	return 0, nil
}

// readLink reads one line and returns its place; ok is false for one without a
// number, of which only the hash is known.
func readLink(f io.ReaderAt, from, to int64) (k link, ok bool, err error) {
	h := sha256.New()
	var line bytes.Buffer
	var w io.Writer = h
	if to-from <= maxLine {
		w = io.MultiWriter(h, &line)
	}
	if _, err := io.Copy(w, io.NewSectionReader(f, from, to-from)); err != nil {
		return k, false, err
	}
	h.Sum(k.sum[:0])
	head, ok := parseHead(line.Bytes())
	k.seq = head.Seq
	return k, ok, nil
}

// head is what every line of a chain has.
type head struct {
	Seq  uint64    `json:"seq"`
	Prev string    `json:"prev"`
	Time time.Time `json:"time"`
}

func parseHead(line []byte) (h head, ok bool) {
	err := json.Unmarshal(line, &h)
	return h, err == nil && h.Seq > 0 && len(h.Prev) == 2*sha256.Size
}

// readHead returns number and time of the first line, 0 and now when it has none.
func readHead(f *os.File, now time.Time) (uint64, time.Time) {
	buf := make([]byte, 64<<10)
	n, _ := f.ReadAt(buf, 0) // what cannot be read has no first line
	line, _, _ := bytes.Cut(buf[:n], []byte("\n"))
	if h, ok := parseHead(line); ok {
		return h.Seq, h.Time
	}
	return 0, now
}
