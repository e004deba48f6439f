// Package inspect reads evidence: it verifies the chain, finds records and says who
// received what. It needs nothing but the files.
package inspect

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/audit"
)

// Verified is what a chain was found to be.
type Verified struct {
	Files, Lines int
	First, Last  uint64 // numbers of the first and the last line
	Sum          [sha256.Size]byte
	Unchained    int // lines before the chain, which AllowUnchained lets pass
	Torn         int // lines that a crash cut off, each with a record that says so
	Bytes        int64
}

// Bad is the first line that is not what the chain says it was.
type Bad struct {
	File string
	Line int // counts from 1
	Why  string
}

func (b *Bad) Error() string { return fmt.Sprintf("first bad line: %s:%d\n%s", b.File, b.Line, b.Why) }

// Verifier follows a chain line by line, through all its files, and keeps no more
// than two lines.
type Verifier struct {
	Verified
	// AllowUnchained lets lines before line 1 pass, which a version without a chain has
	// written. Nothing proves them: whoever can write the file can put them there.
	AllowUnchained bool
	// Each is called with every line that was found good. Optional.
	Each func(l Line) error
	// Progress is called now and then with how many lines and bytes are done. Optional.
	Progress func(lines int, bytes int64)

	started bool
	foreign at   // the first line before the chain
	partial bool // it is no JSON, as a line that was cut off
	last    at   // the line before, good so far
	half    at   // a line that is none, until the next one says that it was torn
	doubt   *doubt
	tail    []byte // the last line of the last file
}

// Line is one line of a chain.
type Line struct {
	File string
	N    int // in the file
	Seq  uint64
	Sum  [sha256.Size]byte
	Text []byte // valid during the call
}

// at is where a line lies.
type at struct {
	file string
	n    int
	seq  uint64
	sum  [sha256.Size]byte
	size int64
	set  bool
}

// doubt is a line that does not name the one before. Which of the two was changed,
// the next line tells: it names the second as it was.
type doubt struct{ before, line at }

func (a at) bad(format string, args ...any) error {
	return &Bad{a.file, a.n, fmt.Sprintf(format, args...)}
}

// File follows the chain through one file; files are given oldest first.
func (v *Verifier) File(name string) error {
	f, err := audit.OpenSegment(name)
	if err != nil {
		return err
	}
	err = v.read(name, f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func (v *Verifier) read(name string, r io.Reader) error {
	v.Files++
	n := 0
	err := batches(r, func(b *batch) error {
		for i := range b.lines {
			n++
			if err := v.line(name, n, b.buf, &b.lines[i]); err != nil {
				return err
			}
		}
		if v.Progress != nil {
			v.Progress(v.Lines, v.Bytes)
		}
		if len(b.lines) > 0 {
			t := b.lines[len(b.lines)-1]
			v.tail = append(v.tail[:0], b.buf[t.from:t.to]...)
		}
		if b.err != nil {
			return at{file: name, n: n + 1}.bad("the file cannot be read further: %v", b.err)
		}
		return nil
	})
	return err
}

func (v *Verifier) line(name string, n int, buf []byte, t *text) error {
	line := buf[t.from:t.to]
	v.Bytes += t.size + 1
	a := at{file: name, n: n, sum: t.sum, size: t.size, set: true}
	if !t.ended {
		return v.orDoubt(a.bad("the line has no end: it was cut off, and no gateway has gone on behind it"))
	}
	if seq, prev, ok := place(line); ok && v.next(seq, prev) {
		a.seq = seq
		return v.good(a, line)
	}
	h, readable := parseHead(line)
	if a.seq = h.Seq; !readable {
		return v.unreadable(a, line)
	}
	if v.doubt != nil {
		return v.settle(h)
	}
	if err := v.follows(a, h); err != nil || v.doubt != nil {
		return err
	}
	return v.good(a, line)
}

// next tells whether a line is the next one of a chain about which nothing is in doubt.
func (v *Verifier) next(seq uint64, prev []byte) bool {
	if !v.started || v.half.set || v.doubt != nil || seq != v.last.seq+1 {
		return false
	}
	var sum [2 * sha256.Size]byte
	hex.Encode(sum[:], v.last.sum[:])
	return string(sum[:]) == string(prev)
}

// unreadable is a line that is no record of a chain: one from before there was a
// chain, or half a line, of which the next one must tell.
func (v *Verifier) unreadable(a at, line []byte) error {
	switch {
	case v.doubt != nil:
		return v.settle(head{})
	case v.half.set:
		return v.half.bad("the line is no record of the chain")
	case !v.started:
		if v.Unchained++; v.Unchained == 1 {
			v.foreign, v.partial = a, !jsontext.Value(line).IsValid(jsontext.AllowInvalidUTF8(true))
		}
	default:
		v.half = a
	}
	v.last.file, v.last.n, v.last.sum = a.file, a.n, a.sum
	return nil
}

// follows tells whether a line is the next one. It may leave a doubt.
func (v *Verifier) follows(a at, h head) error {
	if v.half.set && (h.Type != "torn" || h.Bytes != v.half.size || h.Prev != hex.EncodeToString(v.half.sum[:])) {
		return v.half.bad("the line is no record of the chain")
	}
	switch {
	case !v.started:
		return v.begins(a, h)
	case h.Seq != v.last.seq+1 && h.Type == "gap":
		return a.bad("the gateway found lines missing here: it had written up to line %d and found %d", h.Seq-1, v.last.seq)
	case h.Seq != v.last.seq+1:
		return a.bad("it has number %d behind line %d: lines are missing, doubled or in another order", h.Seq, v.last.seq)
	case h.Prev != hex.EncodeToString(v.last.sum[:]):
		v.doubt = &doubt{v.last, a}
	}
	return nil
}

// begins tells whether a chain can begin with a line.
func (v *Verifier) begins(a at, h head) error {
	v.started = true
	switch {
	case h.Seq == 1 && h.Prev == strings.Repeat("0", 2*sha256.Size):
		if err := v.before(h); err != nil {
			return err
		}
	case v.Unchained > 0:
		return v.last.bad("the line is no record of the chain")
	case h.Type != "segment":
		return a.bad("the chain begins with line %d: lines before it are missing; give all files, oldest first", h.Seq)
	}
	v.First = h.Seq
	return nil
}

// before tells whether lines may lie before line 1: half of one, whose end a crash has cut
// off, and which line 1 tells of, and those that are allowed.
func (v *Verifier) before(h head) error {
	switch {
	case v.Unchained == 0 || v.AllowUnchained:
		return nil
	case v.Unchained == 1 && v.partial && h.Type == "torn" && h.Bytes == v.foreign.size:
		v.Unchained, v.Torn = 0, v.Torn+1
		return nil
	}
	return v.foreign.bad("the line lies before line 1, so the chain does not prove it: anybody who can write the file can have put it there. " +
		"Where an earlier version without a chain has written such lines, give --allow-unchained")
}

// settle decides which of two lines was changed, by the one behind them.
func (v *Verifier) settle(next head) error {
	d := v.doubt
	if next.Prev == "" || next.Prev == hex.EncodeToString(d.line.sum[:]) {
		return d.before.bad("the line is not the one that was written: line %d names another hash", d.line.seq)
	}
	return d.line.bad("the line does not name the one before it")
}

// orDoubt is the error, unless an earlier line is in doubt.
func (v *Verifier) orDoubt(err error) error {
	if v.doubt != nil {
		return v.settle(head{})
	}
	return err
}

func (v *Verifier) good(a at, text []byte) error {
	if v.half.set {
		v.half = at{}
		v.Torn++
	}
	v.Lines++
	v.last, v.Last, v.Sum = a, a.seq, a.sum
	if v.Each == nil {
		return nil
	}
	return v.Each(Line{a.file, a.n, a.seq, a.sum, text})
}

// End is what remains to be said when all files are read.
func (v *Verifier) End() error {
	switch {
	case v.doubt != nil:
		return v.settle(head{})
	case v.half.set:
		return v.half.bad("the line is no record of the chain")
	}
	if _, ok := parseHead(v.tail); v.started && !ok { // nothing behind it has its hash
		return v.last.bad("the line is no record of the chain")
	}
	return nil
}
