package audit

import (
	"bytes"
	"errors"
	"os"
	"time"
)

// lookEvery is how often, at most, a write looks whether the name still leads to
// the open file.
const lookEvery = 100 * time.Millisecond

// chain is the file and the place of its last line. It never shortens a file: what
// a write leaves of a line is ended by a newline, and a record says so.
type chain struct {
	cfg  Config
	file *os.File // nil when it is not open
	path string   // where it lies, which differs from the configured path for a second process
	info os.FileInfo
	size int64 // of the file as far as it was written; what info and size say holds for regular files only

	first uint64    // number of the file's first line
	born  time.Time // time of that line
	last  link      // what the next line refers to
	whole link      // the last line that was written, or found when the first file was opened
	known bool      // there is such a line

	looked  time.Time // when the name was looked at last
	tried   time.Time // when the last rotation failed
	why     string    // why a new file is opened, for the record that says so
	newline bool      // the file ends inside a line
	found   [][]byte  // records about what was found at opening, which go before the next one
	events  [][]byte  // records about what became of a file before
	failed  int       // records that were refused since the last write
	buf     []byte
	wrote   []written // the lines in buf
	grown   grown
	old     archive
}

func newChain(c Config) chain { return chain{cfg: c, old: archive{cfg: c.Segments}} }

// ready opens the file, if it is not the one that has the name, and begins a new
// one when it is full.
func (c *chain) ready(now time.Time) error {
	if c.file != nil && c.info != nil && now.Sub(c.looked) >= lookEvery {
		c.looked = now
		c.look()
	}
	if c.file == nil {
		if err := c.open(now); err != nil {
			return err
		}
	}
	if c.full(now) {
		return c.rotate(now)
	}
	return nil
}

// look lets the file go when its name leads elsewhere, or when it was shortened.
func (c *chain) look() {
	st, err := os.Stat(c.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		c.leave("moved")
	case err != nil: // who may not look keeps what is open
	case !os.SameFile(st, c.info):
		c.leave("replaced")
	case st.Size() < c.size:
		if len(c.events) < 8 {
			c.events = append(c.events, record("truncated").num("was_bytes", c.size).num("is_bytes", st.Size()).place(c.whole).body())
		}
		c.why = "truncated"
		_ = c.closeFile()
	}
}

// leave lets a file go that lost its name.
func (c *chain) leave(why string) {
	c.why = why
	if c.info != nil && links(c.file) == 0 {
		c.why = "removed"
	}
	_ = c.closeFile()
}

// write appends the records, each in a line, and behind them nothing. Every entry
// has its own error: a line that is whole in the file is recorded, whatever became
// of the next one.
func (c *chain) write(es []*entry, sync bool) error {
	err := c.ready(time.Now())
	if err != nil {
		return c.fail(es, err)
	}
	own := c.begin()
	for _, e := range es {
		c.add(e.body)
		c.wrote[len(c.wrote)-1].quiet = e.quiet
	}
	if len(c.buf) == 0 {
		return nil
	}
	n, err := c.file.Write(c.buf)
	c.size += int64(n)
	if err == nil && sync {
		err = syncFile(c.file)
	}
	whole := c.took(n)
	if whole >= own {
		c.events = nil
	}
	if n > 0 {
		c.known = whole >= own // of half of the log's own records the file knows more
	}
	if err != nil {
		return c.torn(es, max(0, whole-own), n, err)
	}
	c.newline, c.failed, c.found = false, 0, nil
	if cap(c.buf) > 1<<20 {
		c.buf = nil
	}
	return nil
}

// written is a line in what is written, with its end there.
type written struct {
	link
	end   int
	quiet bool // see entry
}

func (c *chain) add(body []byte) {
	k := c.last
	if len(c.wrote) > 0 {
		k = c.wrote[len(c.wrote)-1].link
	}
	c.buf, k = appendLine(c.buf, k, body)
	c.wrote = append(c.wrote, written{link: k, end: len(c.buf)})
}

// begin starts what is written with the log's own records, and returns how many
// they are.
func (c *chain) begin() int {
	c.buf, c.wrote = c.buf[:0], c.wrote[:0]
	if c.newline {
		c.buf = append(c.buf, '\n')
	}
	for _, own := range [][][]byte{c.events, c.found} {
		for _, body := range own {
			c.add(body)
		}
	}
	if c.failed > 0 {
		c.add(record("resumed").num("refused", int64(c.failed)).body())
	}
	return len(c.wrote)
}

// took goes on behind the lines that are whole in the first n bytes that were
// written, and returns how many they are.
func (c *chain) took(n int) (whole int) {
	for _, w := range c.wrote {
		if w.end > n {
			break
		}
		c.last, c.whole = w.link, w.link
		c.grow(w.link, !w.quiet)
		c.offer(whole)
		whole++
	}
	linesWritten.Add(whole)
	return whole
}

// offer passes on a line of buf that is in the file.
func (c *chain) offer(i int) {
	if c.cfg.Written == nil {
		return
	}
	start := 0
	if i > 0 {
		start = c.wrote[i-1].end
	}
	line := c.buf[start : c.wrote[i].end-1]
	c.cfg.Written(bytes.TrimPrefix(line, []byte{'\n'})) // which ends half of a line before
}

// torn deals with a write that failed behind n bytes, with which the first entries
// are whole. An error of fsync comes with all of them, and no record counts as written.
func (c *chain) torn(es []*entry, whole, n int, err error) error {
	if n == len(c.buf) {
		whole = 0
	}
	if c.info == nil && n > 0 && c.buf[n-1] != '\n' {
		c.newline = true // of a file that cannot be read again, this must be remembered
	}
	_ = c.closeFile() // the next record begins with a look at what is there
	return c.fail(es[whole:], err)
}

func (c *chain) fail(es []*entry, err error) error {
	c.failed += len(es)
	for _, e := range es {
		e.err = err
	}
	return err
}

// say puts a record about what was found before the next one.
func (c *chain) say(r *ownRecord) { c.found = append(c.found, r.body()) }

func (c *chain) reopen() error {
	c.why = "moved"
	return c.closeFile()
}

func (c *chain) close() error { return errors.Join(c.closeFile(), c.old.wait()) }

// closeFile lets the file go. One that was removed meanwhile has no other name, would be
// lost, and is kept as an older segment.
func (c *chain) closeFile() error {
	f := c.file
	c.file = nil
	if f == nil || f == os.Stdout {
		return nil
	}
	if c.info != nil && links(f) == 0 {
		c.old.rescue(f, segmentName(c.path, c.first))
		return nil
	}
	return f.Close()
}
