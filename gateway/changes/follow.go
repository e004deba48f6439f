package changes

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"portcullis/gateway/retry"
)

// followEvery is how often a file is read for more.
const followEvery = 200 * time.Millisecond

// Follow copies what is added to a file, from its present end on, until ctx ends.
// A file that has been replaced or emptied is read from its beginning, and one that
// is not there is waited for.
func Follow(ctx context.Context, path string, w io.Writer) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe is not waited for, and has no end to begin at
	if err == nil {
		_, err = f.Seek(0, io.SeekEnd)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for err = nil; err == nil; {
		if f != nil {
			_, err = io.Copy(w, f)
		}
		if err != nil || !retry.Sleep(ctx, followEvery) {
			break
		}
		f, err = current(path, f, w)
	}
	if f != nil {
		return errors.Join(err, f.Close())
	}
	return err
}

// current returns the file to go on with: f, or the one that has taken its place.
// What is left in f is copied first.
func current(path string, f *os.File, w io.Writer) (*os.File, error) {
	now, err := os.Stat(path)
	if err != nil || !now.Mode().IsRegular() {
		return f, nil
	}
	if f != nil {
		was, err := f.Stat()
		at, serr := f.Seek(0, io.SeekCurrent)
		if err == nil && serr == nil && os.SameFile(was, now) && now.Size() >= at {
			return f, nil
		}
	}
	next, err := os.Open(path)
	if err != nil {
		return f, nil
	}
	if f != nil {
		_, err = io.Copy(w, f)
		_ = f.Close() // it was only read
	}
	return next, err
}
