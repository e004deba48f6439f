package obs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// lookEvery is how often, at most, a write looks whether the name of the file still
// leads to it.
const lookEvery = 100 * time.Millisecond

// logFile is a file that is only ever appended to, so that neither who empties it
// nor a second process leaves a hole. It follows its name: a file that was moved or
// removed is left. A full one is renamed to NAME-<time>.log, of which some are kept.
type logFile struct {
	path   string
	cfg    Rotation
	file   *os.File
	born   time.Time // of its first record
	info   os.FileInfo
	size   int64
	looked time.Time
	old    older
}

// Write writes whole lines. buffer is its only caller, under its lock.
func (f *logFile) Write(p []byte) (int, error) {
	if err := f.ready(int64(len(p)), time.Now()); err != nil {
		return 0, err
	}
	n, err := f.file.Write(p)
	f.size += int64(n)
	return n, err
}

func (f *logFile) ready(more int64, now time.Time) error {
	if f.file != nil && now.Sub(f.looked) >= lookEvery {
		f.look(now)
	}
	if f.file == nil {
		if err := f.open(now); err != nil {
			return err
		}
	}
	if f.size > 0 && (f.size+more > f.cfg.MaxBytes || f.cfg.MaxAge > 0 && now.Sub(f.born) >= f.cfg.MaxAge) {
		return f.rotate(now)
	}
	return nil
}

func (f *logFile) look(now time.Time) {
	f.looked = now
	st, err := os.Stat(f.path)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && !os.SameFile(st, f.info):
		_ = f.let() // it was written, and its name is gone
	case err == nil:
		f.size = st.Size()
	}
}

func (f *logFile) open(now time.Time) error {
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	st, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file, f.info, f.size, f.looked, f.born = file, st, st.Size(), now, now
	if f.size > 0 {
		f.born = firstTime(f.path, st.ModTime())
	}
	return nil
}

// rotate renames the file and removes what is too old. Where the file cannot be
// renamed, it is written on.
func (f *logFile) rotate(now time.Time) error {
	base, ext := strings.TrimSuffix(f.path, filepath.Ext(f.path)), filepath.Ext(f.path)
	if err := os.Rename(f.path, free(base, ext, now)); err != nil {
		f.size = 0 // the next look says how large it is, and rotation is tried again
		return nil
	}
	f.old.tidy(f.cfg, base, ext)
	_ = f.let() // it was written; an error of closing it would stop the new one
	return f.open(now)
}

// free is the name of an old file that is not taken: two files can be full in the same
// millisecond.
func free(base, ext string, now time.Time) string {
	for at := now.UTC(); ; at = at.Add(time.Millisecond) {
		name := fmt.Sprintf("%s-%s%s", base, at.Format("2006-01-02T15-04-05.000"), ext)
		_, plain := os.Lstat(name)
		_, compressed := os.Lstat(name + ".gz")
		if plain != nil && compressed != nil {
			return name
		}
	}
}

// Close closes the file; the next write opens it again. Old files that are being
// compressed are waited for.
func (f *logFile) Close() error {
	f.old.work.Wait()
	return f.let()
}

// let lets the file go.
func (f *logFile) let() error {
	file := f.file
	f.file = nil
	if file == nil {
		return nil
	}
	return file.Close()
}
