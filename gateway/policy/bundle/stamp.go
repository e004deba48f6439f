package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"portcullis/gateway/files"
)

// Stamp identifies the files of a source by what the system says of them, and reads none:
// name, kind, size, file number, and when they were changed. Two equal stamps are of the
// same files, unless the newest of them was changed less than a tick of the file system's
// clock before. What cannot be looked at is part of the stamp, and so is what git is doing.
func Stamp(path string) (stamp string, newest time.Time) {
	sum := sha256.New()
	note := func(name string, info fs.FileInfo, err error) {
		if err != nil {
			fmt.Fprintf(sum, "%q %v\n", name, err)
			return
		}
		s := files.StampOf(info)
		fmt.Fprintf(sum, "%q %v\n", name, s)
		for _, t := range []time.Time{s.Changed, s.Modified} {
			if t.After(newest) {
				newest = t
			}
		}
	}
	root, err := filepath.EvalSymlinks(path)
	fmt.Fprintf(sum, "%q %v %v\n", root, err, Settled(path))
	if err != nil {
		return hex.EncodeToString(sum.Sum(nil)), newest
	}
	_ = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			note(name, nil, err)
			return nil
		}
		if d.IsDir() && name != root && (d.Name() == ".git" || strings.HasPrefix(d.Name(), "..")) {
			return fs.SkipDir // as readFS does; the files of a mounted ConfigMap are linked
		}
		info, err := d.Info()
		note(name, info, err)
		if err == nil && d.Type()&fs.ModeSymlink != 0 {
			info, err = os.Stat(name)
			note(name, info, err)
		}
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil)), newest
}
