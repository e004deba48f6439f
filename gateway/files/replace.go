package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Replace writes a file as a whole, so that who watches it reads the old text or the new one.
// It keeps owner and mode of the file that was there; for a new one see [Share].
func Replace(name string, text []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already when all went well
	if was, serr := os.Stat(name); serr == nil {
		err = errors.Join(own(tmp, was), tmp.Chmod(was.Mode().Perm()))
	} else {
		err = Share(tmp)
	}
	if err == nil {
		_, err = tmp.Write(text)
	}
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", tmp.Name(), err)
	}
	return os.Rename(tmp.Name(), name)
}

// Share lets the group of a directory read a new file in it, where that group may read the
// directory. Administrators write files that a gateway reads as somebody else; what a user
// who is not root makes stays that user's alone.
func Share(f *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	dir, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil || dir.Mode().Perm()&0o040 == 0 {
		return err
	}
	st, ok := dir.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return errors.Join(f.Chown(-1, int(st.Gid)), f.Chmod(0o640))
}

// own gives a file to the owner of another one, as far as this process may.
func own(f *os.File, of fs.FileInfo) error {
	st, ok := of.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}
