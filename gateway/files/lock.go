package files

import (
	"errors"
	"os"
	"syscall"
)

// ErrLocked says that another process has the lock of a file.
var ErrLocked = errors.New("another process has locked it")

// Lock takes the lock of an open file for this process, without waiting (flock(2)). It is
// given back when the file is closed, also by the end of the process. The error is
// ErrLocked where another process has it; a file system without locks is trusted.
func Lock(f *os.File) error {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return nil
}

// OpenLocked makes or opens a file that is there for its lock, and takes it. Closing the
// file gives the lock back.
func OpenLocked(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := Lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
