package transform

import (
	"context"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// fingerprint changes when a file of the manifest's directory does.
type fingerprint uint64

// look reads names, sizes and times. Polling sees what notifications miss: bind
// mounts, network file systems and directories that are swapped by a link.
func (s *Set) look() fingerprint {
	if s.manifest == "" {
		return 0
	}
	h := fnv.New64a()
	root := filepath.Dir(s.manifest)
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a file that vanished shows as a change
		}
		if st, err := os.Stat(path); err == nil && !st.IsDir() {
			fmt.Fprintln(h, path, st.Size(), st.ModTime().UnixNano())
		}
		return nil
	})
	return fingerprint(h.Sum64())
}

// Watch reloads when the directory of the manifest changes, until ctx ends. It
// looks every interval. An error of a reload is in the status and the log.
func (s *Set) Watch(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if s.changed() {
				_ = s.Reload(ctx)
			}
		}
	}
}

func (s *Set) changed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.look() != s.seen
}
