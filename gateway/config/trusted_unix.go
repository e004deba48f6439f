//go:build unix

package config

import (
	"fmt"
	"os"
	"syscall"
)

// othersMayWrite is the part of a file's mode that lets its group or everybody
// write it.
const othersMayWrite = 0o022

// trusted reports why a file that nobody named must not be believed: somebody else
// owns it, or could have written it.
func trusted(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("configuration file: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s: not read, because it belongs to neither this user nor root; name it with --config if it is meant", name)
	}
	if info.Mode().Perm()&othersMayWrite != 0 {
		return fmt.Errorf("%s: not read, because its group or everybody may write it (mode %04o); run chmod go-w, or name it with --config", name, info.Mode().Perm())
	}
	return nil
}
