// Package files has what the gateway does with files that others write too: look whether
// one has changed, read it again, and lock one against a second process. What was loaded
// last stays in force until a new content has been accepted as a whole.
package files

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// Retry is how long a content that was not accepted is left alone.
const Retry = time.Second

// File is a file that is watched by looking at it. It is safe for concurrent use.
type File struct {
	path string

	mu    sync.Mutex // guards the rest, and lets one load at a time happen
	stamp Stamp      // of the content that was loaded last, or refused
	err   error
	again time.Time // when a content that was not accepted is tried again
}

// New watches a path. Nothing is read before the first Poll.
func New(path string) *File { return &File{path: path} }

// Path is where the file is.
func (f *File) Path() string { return f.path }

// Poll calls load with the content when the file has changed since it was last
// loaded, or some time after the last load went wrong. It reports whether load accepted a
// new content. Errors name the path.
func (f *File) Poll(load func([]byte) error) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		f.stamp, f.err = Stamp{}, err
		return false, err
	}
	now := StampOf(info)
	if f.stamp == now && (f.err == nil || time.Now().Before(f.again)) {
		return false, f.err
	}
	f.stamp, f.again = now, time.Now().Add(Retry)
	f.err = f.load(load)
	return f.err == nil, f.err
}

func (f *File) load(load func([]byte) error) error {
	data, err := Read(f.path)
	if err != nil {
		return err
	}
	if err := load(data); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return nil
}
