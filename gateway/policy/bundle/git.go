package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"portcullis/gateway/files"
)

// ErrBusy means that git is changing the files, so that what lies there now may be
// half of one version and half of another.
var ErrBusy = errors.New("git is changing the working tree")

// Settled returns ErrBusy when a path lies in a git working tree in the middle of a
// pull, a checkout, a merge or a rebase. git holds index.lock while it writes files, and
// the other files below until conflicts are resolved.
func Settled(path string) error {
	git := gitDir(path)
	if git == "" {
		return nil
	}
	for _, name := range []string{"index.lock", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"} {
		if _, err := os.Lstat(filepath.Join(git, name)); err == nil {
			return fmt.Errorf("%w of %s (%s is there); wait until it is done, or finish it", ErrBusy, path, name)
		}
	}
	return nil
}

// gitDir is where git keeps the state of the working tree that a path lies in; empty
// for none. In a linked working tree, .git is a file that names the directory.
func gitDir(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	for {
		git := filepath.Join(path, ".git")
		info, err := os.Stat(git)
		switch {
		case err == nil && info.IsDir():
			return git
		case err == nil:
			raw, err := files.Read(git)
			dir, ok := strings.CutPrefix(strings.TrimSpace(string(raw)), "gitdir: ")
			if err != nil || !ok {
				return ""
			}
			if !filepath.IsAbs(dir) {
				dir = filepath.Join(path, dir)
			}
			return dir
		}
		above := filepath.Dir(path)
		if above == path {
			return ""
		}
		path = above
	}
}
