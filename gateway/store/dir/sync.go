package dir

import (
	"errors"
	"os"
)

// syncDir makes a rename in a directory survive a crash of the machine (fsync(2)).
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
