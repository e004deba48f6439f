package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"portcullis/gateway/audit/tree"
	"portcullis/gateway/files"
)

// Stdout is the path that stands for standard output.
const Stdout = "-"

// open opens the file at its end and finds the place of its last line.
func (c *chain) open(now time.Time) error {
	if c.cfg.Path == Stdout {
		c.file, c.path, c.info = os.Stdout, Stdout, nil
		return nil
	}
	f, path, err := openFree(c.cfg)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && st.Mode().IsRegular() {
		err = c.resume(f, st, path, now)
	} else {
		st = nil
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	c.file, c.path, c.info, c.looked, c.why = f, path, st, now, ""
	return nil
}

// openFree opens the file, or with Share the first beside it that no other process
// writes.
func openFree(c Config) (*os.File, string, error) {
	if err := os.MkdirAll(filepath.Dir(c.Path), 0o750); err != nil {
		return nil, "", err
	}
	tries := 1
	if c.Share {
		tries = 64
	}
	var first error
	for n := 1; n <= tries; n++ {
		path := c.Path
		if n > 1 {
			base, ext := splitName(c.Path)
			path = base + "." + strconv.Itoa(n) + ext
		}
		f, err := openLocked(path)
		if err == nil {
			return f, path, nil
		}
		if first = errors.Join(first, err); !errors.Is(err, files.ErrLocked) {
			break
		}
	}
	return nil, "", first
}

// openLocked opens a file for appending. Two processes that write one file would
// break each other's chain, so the second is refused; a file system without locks
// is trusted.
func openLocked(path string) (*os.File, error) {
	flags := os.O_APPEND | os.O_CREATE
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		flags |= os.O_WRONLY
	} else {
		flags |= os.O_RDWR // the place of the last line is read
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil || flags&os.O_RDWR == 0 {
		return f, err
	}
	if err := files.Lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: another process writes its evidence there; give each gateway an AUDIT_FILE of its own: %w", path, err), f.Close())
	}
	return f, nil
}

// resume finds where the chain goes on in a file that has just been opened, and
// says what is odd about it.
func (c *chain) resume(f *os.File, st os.FileInfo, path string, now time.Time) error {
	t, err := readTail(f, st.Size())
	if err != nil {
		return fmt.Errorf("read the end of %s: %w", path, err)
	}
	if !c.known && c.cfg.Sign {
		c.grown = keptTree(path)
	}
	c.size, c.newline, c.found = st.Size(), t.torn > 0, nil
	if st.Size() == 0 {
		c.beginSegment(path, now)
		return c.catchUp(path)
	}
	c.first, c.born = readHead(f, now)
	c.last = link{max(t.last.seq, c.last.seq), t.last.sum}
	if t.torn > 0 {
		c.say(record("torn").num("bytes", t.torn).place(t.whole))
	}
	if c.known && t.whole != c.whole {
		c.say(record("gap").str("reason", "the end of the file is not the line that was written last").place(c.whole))
	}
	if !c.known {
		c.whole, c.known = t.whole, true
		if !t.chained {
			c.last = link{}
		}
		if k := c.signedBeyond(path); k.seq > 0 {
			c.last.seq = k.seq
			c.say(record("gap").str("reason", "the file ends before the line that the checkpoint beside it signs").place(k))
		}
	}
	return c.catchUp(path)
}

// signedBeyond is the place of the last line that was signed, where that is not there:
// while no gateway ran the end was cut off, or the file was moved to a name that tells
// nothing, or a disk has lost it. The chain goes on behind it, so that no number is given
// twice. It is the zero link where nothing is missing.
func (c *chain) signedBeyond(path string) link {
	if c.grown.Seq <= c.last.seq {
		return link{}
	}
	signed := link{seq: c.grown.Seq}
	text, err := files.Read(Beside(path, "checkpoint"))
	if k, perr := tree.ParseCheckpoint(text); err == nil && perr == nil && k.Seq == signed.seq {
		signed.sum = k.Last
	}
	return signed
}

// beginSegment goes on in an empty file: behind the line that was written last, or
// behind that of the newest segment beside it.
func (c *chain) beginSegment(path string, now time.Time) {
	if c.why == "" {
		c.why = "start"
	}
	if !c.known {
		c.last, c.known = newestSegment(path)
		if k := c.signedBeyond(path); k.seq > 0 {
			c.last, c.known = k, true
		}
		c.whole = c.last
	}
	c.first, c.born = c.last.seq+1, now
	if c.known && c.last != (link{}) {
		c.say(record("segment").str("reason", c.why).place(c.last))
	}
}

// links is how many names a file has; 1 when nobody can say.
func links(f *os.File) uint64 {
	st, err := f.Stat()
	if err != nil {
		return 1
	}
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 1
}

// syncFile makes a file durable; what is no file on a disk needs nothing.
func syncFile(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// splitName cuts the extension off a path.
func splitName(path string) (base, ext string) {
	ext = filepath.Ext(path)
	return strings.TrimSuffix(path, ext), ext
}
