package transform

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"time"

	"portcullis/gateway/files"
)

// fingerprint changes when the manifest or one of its files does.
type fingerprint uint64

// look reads the stamps of the manifest and of the files that it names.
// Polling sees what notifications miss: bind mounts, network file systems and
// directories that are swapped by a link.
func (s *Set) look() fingerprint {
	h := fnv.New64a()
	if s.manifest == "" {
		return 0
	}
	names := []string{s.manifest}
	if m, err := parse(s.manifest); err == nil {
		for _, e := range m.Modules {
			tests, _ := filepath.Glob(m.Path(e.Tests)) // a bad pattern is found by the load
			names = append(append(names, m.Path(e.File)), tests...)
		}
	}
	for _, f := range names {
		if st, err := os.Stat(f); err == nil {
			fmt.Fprintln(h, f, files.StampOf(st))
		}
	}
	return fingerprint(h.Sum64())
}

// Watch reloads when the manifest or one of its files changes, until ctx ends. It
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
