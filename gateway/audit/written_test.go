package audit_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"portcullis/gateway/audit"
)

// TestEveryLineIsOffered: who listens hears exactly the lines that are in the files,
// in their order: those of many callers, those about the file itself, and those behind
// half of a line that an earlier process has left.
func TestEveryLineIsOffered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	const half = `{"seq":1,"prev":"`
	if err := os.WriteFile(path, []byte(half), 0o600); err != nil {
		t.Fatal(err)
	}
	var offered strings.Builder
	l := audit.Open(audit.Config{Path: path, Segments: audit.Segments{MaxBytes: 64 << 10}, Written: func(line []byte) {
		offered.Write(line)
		offered.WriteByte('\n')
	}})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 50 {
				if err := l.Intent(record(t, `{"path":"a"}`)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	older, err := filepath.Glob(filepath.Join(filepath.Dir(path), "audit-*.jsonl"))
	if err != nil || len(older) == 0 {
		t.Fatalf("got %d older files, %v", len(older), err)
	}
	var written strings.Builder
	for _, name := range append(older, path) {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		written.Write(raw)
	}
	if got, want := offered.String(), strings.TrimPrefix(written.String(), half+"\n"); got != want {
		t.Errorf("%d lines were offered, %d are in the files", strings.Count(got, "\n"), strings.Count(want, "\n"))
	}
}
