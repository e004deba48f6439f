// Package dir is the directory in which one gateway keeps what must outlive it. It is
// locked: two gateways on one directory would overwrite each other's files.
package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"portcullis/gateway/files"
)

// ErrLocked says that another process has the directory.
var ErrLocked = errors.New("another gateway has the directory: stop it, or give each gateway a STATE_DIR of its own")

// Dir is the directory. A zero Dir has none: it keeps nothing, and reads nothing.
type Dir struct {
	path string
	lock *os.File // nil until Lock
}

// New names a directory and touches nothing. An empty path is for a gateway without one.
func New(path string) *Dir { return &Dir{path: path} }

// Lock makes the directory, for its owner alone (mode 0700), and takes it until Unlock or
// the end of the process. Its error is ErrLocked where another process has it.
func (d *Dir) Lock() error {
	if d.path == "" {
		return nil
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return fmt.Errorf("STATE_DIR: %w", err)
	}
	f, err := files.OpenLocked(filepath.Join(d.path, ".lock"))
	if errors.Is(err, files.ErrLocked) {
		err = ErrLocked
	}
	if err != nil {
		return fmt.Errorf("STATE_DIR %s: %w", d.path, err)
	}
	d.lock = f
	return nil
}

// Unlock gives the directory back.
func (d *Dir) Unlock() error {
	if d.lock == nil {
		return nil
	}
	defer func() { d.lock = nil }()
	return d.lock.Close() // which ends the lock (flock(2))
}

// Path is where a file of the directory is, empty without a directory.
func (d *Dir) Path(name string) string {
	if d.path == "" {
		return ""
	}
	return filepath.Join(d.path, name)
}

// Read returns what a file holds, nil when it is not there.
func (d *Dir) Read(name string) ([]byte, error) {
	if d.path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(d.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Write replaces a file at once and for good: whoever reads it, after a crash as well,
// finds the old or the new content. Without a directory it does nothing.
func (d *Dir) Write(name string, data []byte) error {
	if d.path == "" {
		return nil
	}
	f, err := os.CreateTemp(d.path, "."+name+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.Path(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(d.path)
}
