package server

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// ofCgroup is how much of the control group's memory Go may use. What is left is for
// the memory of WebAssembly modules, which Go does not count, and for the kernel's.
const ofCgroup = 0.8

// LimitMemory sets Go's soft memory limit from the control group that the process is
// in. A limit that the operator has set (GOMEMLIMIT) stays.
func LimitMemory() {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	if n := cgroupLimit("/sys/fs/cgroup", "/proc/self/cgroup"); n > 0 {
		debug.SetMemoryLimit(int64(float64(n) * ofCgroup))
	}
}

// shortage says when nothing new may begin, because memory or the disk of the
// evidence runs out. Refusing in time is better than what follows: collapse, or calls
// that cannot be recorded.
type shortage struct {
	evidence string                                        // the file that evidence is written to
	minFree  int64                                         // bytes that its disk must have left
	free     func(dir string) (free, total int64, ok bool) // what a disk has
	live     func() (bytes, limit int64)                   // memory in use, and its limit, 0 for none
	collect  func()

	mu      sync.Mutex // guards what follows
	checked time.Time
	err     error
}

// shortageEvery is how long one look holds.
const shortageEvery = 250 * time.Millisecond

// tooMuch is the part of the memory limit that may be in use.
const tooMuch = 0.9

func newShortage(evidence string, minFree int64) *shortage {
	return &shortage{evidence: evidence, minFree: minFree, free: diskFree, live: liveMemory, collect: runtime.GC}
}

// check is the error for a request that would begin now: Overloaded or
// AuditUnavailable, both to be tried again. Only one request looks, and others go by
// the last result meanwhile.
func (s *shortage) check() error {
	s.mu.Lock()
	if time.Since(s.checked) < shortageEvery {
		defer s.mu.Unlock()
		return s.err
	}
	s.checked = time.Now()
	s.mu.Unlock()
	err := errors.Join(s.memory(), s.disk())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	return err
}

// memory collects before it complains: what was in use at the last collection may be
// long gone.
func (s *shortage) memory() error {
	if !s.full() {
		return nil
	}
	if s.collect(); !s.full() {
		return nil
	}
	return &call.Error{Code: call.Overloaded, Msg: "the gateway is short of memory; try again later", RetryAfter: 2 * time.Second}
}

func (s *shortage) full() bool {
	used, limit := s.live()
	return limit > 0 && float64(used) > float64(limit)*tooMuch
}

// disk looks at the disk of the evidence when that goes to a file. On a small disk a
// twentieth must be left.
func (s *shortage) disk() error {
	if info, err := os.Stat(s.evidence); err == nil && !info.Mode().IsRegular() || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil // a device or a pipe, or what the evidence itself will complain about
	}
	free, total, ok := s.free(filepath.Dir(s.evidence))
	if !ok || free >= min(s.minFree, total/20) {
		return nil
	}
	return &call.Error{Code: call.AuditUnavailable, Msg: "the disk of the evidence is nearly full, so calls are refused; try again later", RetryAfter: 5 * time.Second}
}

// liveMemory is what the last collection has left in use, with the stacks.
func liveMemory() (used, limit int64) {
	limit = debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		return 0, 0
	}
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	for _, v := range s {
		used += int64(number(v)) //nolint:gosec // less than any memory
	}
	return used, limit
}
