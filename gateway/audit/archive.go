package audit

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
)

// archive looks after full files, beside the writing.
type archive struct {
	cfg  Segments
	work sync.WaitGroup
	mu   sync.Mutex // held while files are compressed and removed
	emu  sync.Mutex // guards err
	err  error
}

// tend compresses full files and removes those that are too many.
func (a *archive) tend(path string) {
	if a.cfg.Keep == 0 && !a.cfg.Compress {
		return
	}
	a.run(func() error { return a.tidy(path) })
}

func (a *archive) tidy(path string) error {
	all, err := segmentsOf(path)
	if err != nil {
		return err
	}
	var errs []error
	if over := len(all) - a.cfg.Keep; a.cfg.Keep > 0 && over > 0 {
		for _, s := range all[:over] {
			errs = append(errs, os.Remove(s.name))
		}
		all = all[over:]
	}
	for _, s := range all {
		if a.cfg.Compress && !strings.HasSuffix(s.name, ".gz") {
			errs = append(errs, compress(s.name))
		}
	}
	return errors.Join(errs...)
}

// rescue writes a file that has lost its last name under a new one, and closes it.
func (a *archive) rescue(f *os.File, name string) {
	a.run(func() error {
		st, err := f.Stat()
		if err == nil {
			err = copyTo(freeName(name), func(w io.Writer) error {
				_, err := io.Copy(w, io.NewSectionReader(f, 0, st.Size()))
				return err
			})
		}
		return errors.Join(err, f.Close())
	})
}

// run does work beside the writing. Its error is reported when the log is closed and
// counted at once.
func (a *archive) run(f func() error) {
	a.work.Go(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if err := f(); err != nil {
			archiveFailures.Inc()
			a.emu.Lock()
			a.err = err
			a.emu.Unlock()
		}
	})
}

func (a *archive) wait() error {
	a.work.Wait()
	a.emu.Lock()
	defer a.emu.Unlock()
	err := a.err
	a.err = nil
	return err
}

// compress replaces a file by its compressed form, which keeps its age.
func compress(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	st, err := f.Stat()
	if err != nil {
		return err
	}
	err = copyTo(name+".gz", func(w io.Writer) error {
		z := gzip.NewWriter(w)
		_, err := io.Copy(z, f)
		return errors.Join(err, z.Close())
	})
	if err != nil {
		return err
	}
	return errors.Join(os.Chtimes(name+".gz", st.ModTime(), st.ModTime()), os.Remove(name))
}

// copyTo writes a file that appears under its name when it is whole and durable.
func copyTo(name string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(name+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(fill(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(name+".tmp", name)
	}
	if err != nil {
		_ = os.Remove(name + ".tmp") // the error that led here is reported
	}
	return err
}
