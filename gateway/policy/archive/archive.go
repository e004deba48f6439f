// Package archive keeps lines about decisions in files of bounded size and number, and
// finds a decision in them by its id. There is no index: an id begins with its time, the
// lines are in the order of their times, and so a file is searched by halves.
package archive

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Config says where the lines are kept.
type Config struct {
	Path     string // of the current file; full ones lie beside it as NAME-<time>.jsonl
	MaxBytes int64  // of a file, 0 for no bound
	Keep     int    // how many full files stay, 0 for all
}

// Archive appends lines. Its methods but Find are not safe for concurrent use.
type Archive struct {
	cfg  Config
	file *os.File
	w    *bufio.Writer
	size int64
}

// Open opens the current file at its end.
func Open(c Config) (*Archive, error) {
	a := &Archive{cfg: c, w: bufio.NewWriterSize(nil, 64<<10)}
	return a, a.open()
}

func (a *Archive) open() error {
	if err := os.MkdirAll(filepath.Dir(a.cfg.Path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(a.cfg.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	a.file, a.size = f, st.Size()
	a.w.Reset(f)
	return nil
}

// Write adds a line, which ends in a newline, and begins another file when this one is
// full.
func (a *Archive) Write(line []byte) error {
	if a.file == nil {
		if err := a.open(); err != nil {
			return err
		}
	}
	if a.cfg.MaxBytes > 0 && a.size > 0 && a.size+int64(len(line)) > a.cfg.MaxBytes {
		if err := a.rotate(); err != nil {
			return err
		}
	}
	n, err := a.w.Write(line)
	a.size += int64(n)
	return err
}

// Flush hands everything to the file. One that was moved away is left for the one that
// has its name.
func (a *Archive) Flush() error {
	if a.file == nil {
		return nil
	}
	if err := a.w.Flush(); err != nil {
		a.w.Reset(a.file) // what is lost is lost; the next line is another one
		return err
	}
	open, err := a.file.Stat()
	named, nerr := os.Stat(a.cfg.Path)
	if err != nil || nerr == nil && os.SameFile(open, named) {
		return err
	}
	return a.Close()
}

// Close closes the file. The next line opens what has its name then.
func (a *Archive) Close() error {
	if a.file == nil {
		return nil
	}
	err := errors.Join(a.w.Flush(), a.file.Close())
	a.file = nil
	return err
}

// rotate gives the full file a name of its own.
func (a *Archive) rotate() error {
	if err := a.Close(); err != nil {
		return err
	}
	base, ext := a.parts()
	name := base + "-" + time.Now().UTC().Format("20060102T150405.000000000Z") + ext
	if err := os.Rename(a.cfg.Path, name); err != nil && !errors.Is(err, os.ErrNotExist) { // another process may have been faster
		return err
	}
	full := a.full()
	if over := len(full) - a.cfg.Keep; a.cfg.Keep > 0 && over > 0 {
		for _, old := range full[:over] {
			_ = os.Remove(old) // one that stays is removed the next time
		}
	}
	return a.open()
}

func (a *Archive) parts() (base, ext string) {
	ext = filepath.Ext(a.cfg.Path)
	return strings.TrimSuffix(a.cfg.Path, ext), ext
}

// full are the full files, oldest first.
func (a *Archive) full() []string {
	base, ext := a.parts()
	names, _ := filepath.Glob(quoted(base) + "-[0-9]*Z" + ext) // the pattern is good
	slices.Sort(names)
	return names
}

// quoted is a path in which nothing is a pattern.
func quoted(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// ErrAbsent says that no file has the decision.
var ErrAbsent = errors.New("the decision is not in the log")

// Find returns the line of a decision. It is safe for concurrent use.
func (a *Archive) Find(id string) ([]byte, error) {
	made, ok := timeOf(id)
	if !ok {
		return nil, ErrAbsent
	}
	files := append(a.full(), a.cfg.Path)
	for _, name := range slices.Backward(files) {
		line, older, err := find(name, id, made)
		if line != nil || err != nil && !errors.Is(err, os.ErrNotExist) {
			return line, err
		}
		if !older {
			break
		}
	}
	return nil, ErrAbsent
}

// find looks into one file. older is true when the decision may be in an older one.
func find(name, id string, made time.Time) (line []byte, older bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, true, err
	}
	defer func() { _ = f.Close() }() // it was only read
	first, at, err := seek(f, made.Add(-slack))
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", name, err)
	}
	older = first.IsZero() || !first.Before(made.Add(-slack))
	in := bufio.NewReaderSize(f, 256<<10)
	if _, err := f.Seek(at, 0); err != nil {
		return nil, false, err
	}
	for {
		text, err := in.ReadBytes('\n')
		if err != nil {
			return nil, older, nil // the end
		}
		found := idOf(text)
		if found == id {
			return text, false, nil
		}
		if t, ok := timeOf(found); ok && t.After(made.Add(slack)) {
			return nil, older, nil
		}
	}
}
