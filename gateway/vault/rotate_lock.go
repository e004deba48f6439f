package vault

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the lock of a file, which is made, for as long as unlock is not called.
// It does not wait: an error says that another process has it.
func lockFile(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(errors.New("another process replaces the secret id"), err, f.Close())
	}
	return func() { _ = f.Close() }, nil // which gives the lock back
}
