package server

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/call"
)

func TestShortMemoryIsRefusedUntilItIsCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		used, garbage := int64(95), true
		s := &shortage{evidence: "/dev/null", live: func() (int64, int64) { return used, 100 }, collect: func() {
			if garbage {
				used = 20
			}
		}}
		if err := s.check(); err != nil {
			t.Errorf("what could be collected: got %v", err)
		}
		used, garbage = 95, false
		time.Sleep(time.Second)
		if err := s.check(); !call.Is(err, call.Overloaded) || call.AsError(err).Wait() == 0 {
			t.Errorf("what is in use: got %v, want overloaded with a time to wait", err)
		}
		used = 50
		time.Sleep(time.Second)
		if err := s.check(); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
	})
}

func TestAFullDiskOfTheEvidenceIsRefusedInTime(t *testing.T) {
	for name, c := range map[string]struct {
		evidence    string
		free, total int64
		want        bool
	}{
		"room":              {"audit.jsonl", 20 << 20, 1 << 40, true},
		"nearly full":       {"audit.jsonl", 15 << 20, 1 << 40, false},
		"small, room":       {"audit.jsonl", 1 << 20, 10 << 20, true},
		"small, full":       {"audit.jsonl", 1 << 18, 10 << 20, false},
		"no file of a disk": {"/dev/null", 0, 1 << 40, true},
	} {
		s := newShortage(c.evidence, 16<<20)
		if c.evidence[0] != '/' {
			s.evidence = filepath.Join(t.TempDir(), c.evidence)
		}
		s.free = func(string) (int64, int64, bool) { return c.free, c.total, true }
		s.live = func() (int64, int64) { return 0, 0 }
		err := s.check()
		if (err == nil) != c.want || err != nil && (!call.Is(err, call.AuditUnavailable) || call.AsError(err).Wait() == 0) {
			t.Errorf("%s: got %v, want served %v", name, err, c.want)
		}
	}
}

// TestTheDiskIsKnown: the numbers are those of a real file system.
func TestTheDiskIsKnown(t *testing.T) {
	if free, total, ok := diskFree(t.TempDir()); !ok || free <= 0 || free > total {
		t.Errorf("got %d of %d, %v", free, total, ok)
	}
}

// TestTheMemoryLimitOfTheControlGroup over both versions, groups within groups, and
// files that say nothing.
func TestTheMemoryLimitOfTheControlGroup(t *testing.T) {
	for name, c := range map[string]struct {
		self  string
		files map[string]string
		want  int64
	}{
		"version 2":               {"0::/app\n", map[string]string{"app/memory.max": "1000\n"}, 1000},
		"version 2, none":         {"0::/app\n", map[string]string{"app/memory.max": "max\n"}, 0},
		"version 2, in container": {"0::/\n", map[string]string{"memory.max": "1000"}, 1000},
		"the group above":         {"0::/a/b\n", map[string]string{"a/memory.max": "500", "a/b/memory.max": "1000"}, 500},
		"path that is not seen":   {"0::/docker/x\n", map[string]string{"memory.max": "700"}, 700},
		"version 1":               {"4:cpu:/x\n3:memory:/x\n", map[string]string{"memory/x/memory.limit_in_bytes": "2000"}, 2000},
		"version 1, none":         {"3:memory:/x\n", map[string]string{"memory/x/memory.limit_in_bytes": "9223372036854771712"}, 0},
		"no groups":               {"", nil, 0},
	} {
		root := t.TempDir()
		self := filepath.Join(root, "self")
		if err := os.WriteFile(self, []byte(c.self), 0o600); err != nil {
			t.Fatal(err)
		}
		for path, text := range c.files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := cgroupLimit(root, self); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
