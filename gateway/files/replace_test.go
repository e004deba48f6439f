package files_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"portcullis/gateway/files"
)

// TestReplaceIsReadByTheGateway: what root writes where a gateway's configuration lies is for
// the gateway's group, and a file that was there stays whose it was. What somebody else
// writes is that user's alone.
func TestReplaceIsReadByTheGateway(t *testing.T) {
	dir := t.TempDir()
	root, group, fresh := os.Geteuid() == 0, os.Getegid(), fs.FileMode(0o600)
	if root {
		group, fresh = 4711, 0o640
		must(t, os.Chown(dir, 0, group))
	}
	must(t, os.Chmod(dir, 0o750))
	for name, c := range map[string]struct {
		was  fs.FileMode // 0: none
		mode fs.FileMode
	}{
		"new":   {0, fresh},
		"there": {0o604, 0o604},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, name)
			if c.was != 0 {
				write(t, file, "old")
				must(t, os.Chmod(file, c.was))
				must(t, os.Chown(file, os.Getuid(), group))
			}
			must(t, files.Replace(file, []byte("text")))
			text, err := os.ReadFile(file)
			must(t, err)
			st, err := os.Stat(file)
			must(t, err)
			if gid := int(st.Sys().(*syscall.Stat_t).Gid); string(text) != "text" || st.Mode().Perm() != c.mode || gid != group {
				t.Errorf("%s: %q, mode %s of group %d, want %s of %d", name, text, st.Mode(), gid, c.mode, group)
			}
		})
	}
	must(t, os.Chmod(dir, 0o700))
	must(t, files.Replace(filepath.Join(dir, "own"), nil))
	if st, err := os.Stat(filepath.Join(dir, "own")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("in a directory of one user: %v %v", st.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
