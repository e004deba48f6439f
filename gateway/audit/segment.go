package audit

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Segments says when a file is full, and what becomes of full ones. A full file is
// renamed to NAME-<number of its first line>.jsonl and lies beside the new one,
// whose first record names the last line of the full one.
type Segments struct {
	MaxBytes int64         // 0 for no bound
	MaxAge   time.Duration // of the first line; 0 for no bound
	Keep     int           // how many full files stay, 0 for all
	Compress bool          // full files are compressed (gzip)
}

// full tells whether the file ends before the next record.
func (c *chain) full(now time.Time) bool {
	s := c.cfg.Segments
	if c.info == nil || c.size == 0 || now.Sub(c.tried) < time.Minute {
		return false
	}
	switch {
	case s.MaxBytes > 0 && c.size >= s.MaxBytes:
		c.why = "size"
	case s.MaxAge > 0 && now.Sub(c.born) >= s.MaxAge:
		c.why = "age"
	default:
		return false
	}
	return true
}

// rotate renames the file and begins a new one. A file that cannot be renamed is
// written on, and tried again later.
func (c *chain) rotate(now time.Time) error {
	why := c.why
	if c.look(); c.file == nil {
		return c.open(now) // somebody else was faster
	}
	if err := os.Rename(c.path, freeName(segmentName(c.path, c.first))); err != nil {
		c.tried = now
		return nil
	}
	c.why = why
	if err := c.closeFile(); err != nil {
		return err
	}
	if err := c.open(now); err != nil {
		return err
	}
	c.old.tend(c.path)
	return nil
}

// segmentName is what a file is called when it is full. The number has a fixed
// width, so that names sort by age.
func segmentName(path string, first uint64) string {
	base, ext := splitName(path)
	return fmt.Sprintf("%s-%012d%s", base, first, ext)
}

// freeName is the name, or one beside it when there is such a file: a chain that
// began anew counts from 1 again, and nothing is ever overwritten.
func freeName(name string) string {
	base, ext := splitName(name)
	for n := 1; ; n++ {
		_, err := os.Lstat(name)
		_, zipped := os.Lstat(name + ".gz")
		if err != nil && zipped != nil {
			return name // nothing is there, or nobody can look, and then writing fails
		}
		name = fmt.Sprintf("%s.%d%s", base, n, ext)
	}
}

// segment is a full file.
type segment struct {
	name  string
	first uint64
	mod   time.Time
}

// segmentsOf lists the full files of a path, oldest first.
func segmentsOf(path string) ([]segment, error) {
	base, ext := splitName(filepath.Base(path))
	re, err := regexp.Compile(`^` + regexp.QuoteMeta(base) + `-(\d{1,20})(\.\d+)?` + regexp.QuoteMeta(ext) + `(\.gz)?$`)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []segment
	for _, f := range files {
		m := re.FindStringSubmatch(f.Name())
		info, err := f.Info()
		if m == nil || err != nil || !info.Mode().IsRegular() {
			continue
		}
		first, _ := strconv.ParseUint(m[1], 10, 64) // what is too large sorts first
		all = append(all, segment{filepath.Join(dir, f.Name()), first, info.ModTime()})
	}
	slices.SortFunc(all, func(a, b segment) int {
		if d := a.mod.Compare(b.mod); d != 0 {
			return d
		}
		return strings.Compare(a.name, b.name)
	})
	return all, nil
}

// newestSegment is the place of the last line of the newest full file.
func newestSegment(path string) (link, bool) {
	all, err := segmentsOf(path)
	if err != nil || len(all) == 0 {
		return link{}, false
	}
	f, err := OpenSegment(all[len(all)-1].name)
	if err != nil {
		return link{}, false
	}
	defer func() { _ = f.Close() }() // it was only read
	var k link
	ok := false
	for s := NewScanner(f); s.Scan(); {
		if h, chained := parseHead(s.Bytes()); chained {
			k, ok = link{h.Seq, s.Sum()}, true
		}
	}
	return k, ok
}

// OpenSegment opens a file of evidence for reading; one whose name ends in .gz is
// decompressed on the way.
func OpenSegment(name string) (io.ReadCloser, error) {
	f, err := os.Open(name)
	if err != nil || !strings.HasSuffix(name, ".gz") {
		return f, err
	}
	z, err := gzip.NewReader(bufio.NewReaderSize(f, 256<<10))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return &zipped{z, f}, nil
}

type zipped struct {
	*gzip.Reader
	file *os.File
}

// Close closes the file as well.
func (z *zipped) Close() error { return errors.Join(z.Reader.Close(), z.file.Close()) }
