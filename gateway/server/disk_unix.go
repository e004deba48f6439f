//go:build unix

package server

import "golang.org/x/sys/unix"

// diskFree is what is left on the disk of a directory for users other than root, and its
// size, in bytes.
func diskFree(dir string) (free, total int64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, 0, false
	}
	block := int64(s.Bsize) // of another type on other systems
	return int64(s.Bavail) * block, int64(s.Blocks) * block, true
}

// maxFiles is how many files this process may have open, 0 when that is not known.
func maxFiles() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return int(min(l.Cur, 1<<20))
}
