package obs

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Rotation says when a log file is full, and what becomes of full ones. The zero value
// is 10 MiB and five old files.
type Rotation struct {
	MaxBytes int64         // of a file
	MaxAge   time.Duration // of its first record; 0 for no bound
	Keep     int           // old files; negative for all
	Compress bool          // old files, with gzip
}

func (r Rotation) withDefaults() Rotation {
	if r.MaxBytes <= 0 {
		r.MaxBytes = 10 << 20
	}
	if r.Keep == 0 {
		r.Keep = 5
	}
	return r
}

// older looks after the old files of one log, beside the writing.
type older struct {
	work sync.WaitGroup
	mu   sync.Mutex // held while files are removed and compressed
}

// tidy removes old files that are too many and compresses the others, while the log is
// written on. What fails is tried again at the next rotation.
func (o *older) tidy(cfg Rotation, base, ext string) {
	o.work.Go(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		all, err := filepath.Glob(base + "-????-??-??T??-??-??.???" + ext + "*")
		if err != nil {
			return
		}
		all = slices.DeleteFunc(all, func(name string) bool { return strings.HasSuffix(name, ".tmp") })
		slices.Sort(all)
		if n := len(all) - cfg.Keep; cfg.Keep >= 0 && n > 0 {
			for _, name := range all[:n] {
				_ = os.Remove(name)
			}
			all = all[n:]
		}
		for _, name := range all {
			if cfg.Compress && !strings.HasSuffix(name, ".gz") {
				_ = compress(name)
			}
		}
	})
}

// compress replaces a file by its compressed form, which appears when it is whole.
func compress(name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.OpenFile(name+".gz.tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	if err = errors.Join(err, z.Close(), out.Close()); err == nil {
		err = os.Rename(out.Name(), name+".gz")
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return os.Remove(name)
}

// firstTime is the time of a file's first record, or another where it says none.
func firstTime(name string, otherwise time.Time) time.Time {
	f, err := os.Open(name)
	if err != nil {
		return otherwise
	}
	defer func() { _ = f.Close() }() // it was only read
	line, _ := bufio.NewReaderSize(f, 256).Peek(64)
	_, rest, _ := strings.Cut(string(line), `"ts":"`)
	text, _, ok := strings.Cut(rest, `"`)
	if t, err := time.Parse(tsLayout, text); ok && err == nil {
		return t
	}
	return otherwise
}

// tsLayout is how records say when, in UTC.
const tsLayout = "2006-01-02T15:04:05.000000"
