package sink

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"portcullis/gateway/files"
)

// spool is the batches of one sink on disk, a file each: NUMBER.jsonl. Small ones are
// put together. One process has a spool at a time.
type spool struct {
	dir  string
	max  int64
	lock *os.File
}

// maxSpools is how many processes may have a spool beside the same file of evidence.
const maxSpools = 16

// openSpool takes the directory, or the first beside it that no other process has,
// and finds what an earlier run has left.
func openSpool(dir string, limit int64) (*spool, []*batch, error) {
	for n := 1; n <= maxSpools; n++ {
		name := dir
		if n > 1 {
			name += "." + strconv.Itoa(n)
		}
		if err := os.MkdirAll(name, 0o700); err != nil {
			return nil, nil, err
		}
		lock, err := files.OpenLocked(filepath.Join(name, "lock"))
		if errors.Is(err, files.ErrLocked) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		s := &spool{dir: name, max: limit, lock: lock}
		left, err := s.left()
		return s, left, err
	}
	return nil, nil, fmt.Errorf("%s: %d processes have a spool there already", dir, maxSpools)
}

// left are the batches of earlier runs, oldest first.
func (s *spool) left() (out []*batch, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ".jsonl")
		number, err := strconv.ParseUint(base, 10, 63)
		if !ok || err != nil {
			continue
		}
		b := &batch{number: number, file: filepath.Join(s.dir, e.Name())}
		if b.count, b.bytes, err = measure(b.file); err != nil {
			return nil, err
		}
		if b.count == 0 {
			_ = os.Remove(b.file) // the process ended inside its first line
			continue
		}
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b *batch) int { return cmp.Compare(a.number, b.number) })
	return out, nil
}

// measure counts the whole lines of a file and their bytes. What a process left of a
// line when it ended is not delivered.
func measure(file string) (lines int, size int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	r := bufio.NewReaderSize(f, 64<<10)
	for part := int64(0); ; {
		text, err := r.ReadSlice('\n')
		part += int64(len(text))
		switch {
		case err == nil:
			lines, size, part = lines+1, size+part, 0
		case errors.Is(err, io.EOF):
			return lines, size, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return 0, 0, err
		}
	}
}

// write stores a batch in a file of its own.
func (s *spool) write(b batch) (file string, err error) {
	file = filepath.Join(s.dir, fmt.Sprintf("%020d.jsonl", b.number))
	return file, put(file, 0, b.lines)
}

// put writes lines behind so many bytes of a file, or nothing.
func put(file string, at int64, lines []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err = f.Truncate(at); err == nil { // what lies behind is half of a line
		_, err = f.WriteAt(lines, at)
	}
	if err != nil && at == 0 {
		return errors.Join(err, f.Close(), os.Remove(file))
	}
	if err != nil {
		err = errors.Join(err, f.Truncate(at))
	}
	return errors.Join(err, f.Close())
}

// errDamaged is a stored batch that cannot be delivered, now or later.
var errDamaged = errors.New("a file of the spool is damaged")

// read returns the lines of a stored batch.
func (s *spool) read(b batch) ([]byte, error) {
	lines, err := os.ReadFile(b.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s was removed", errDamaged, b.file)
	}
	if err != nil {
		return nil, err
	}
	if int64(len(lines)) < b.bytes || bytes.Count(lines[:b.bytes], []byte{'\n'}) != b.count {
		return nil, fmt.Errorf("%w: %s", errDamaged, b.file)
	}
	return lines[:b.bytes], nil
}

func (s *spool) close() error {
	if s == nil {
		return nil
	}
	return s.lock.Close()
}
