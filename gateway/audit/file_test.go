package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/op"
)

// chained reads files, oldest first, and holds each line to the one before it. It
// returns the records.
func chained(t *testing.T, files ...string) []map[string]any {
	t.Helper()
	var out []map[string]any
	prev, seq, half := strings.Repeat("0", 64), 0.0, false
	for _, name := range files {
		f, err := audit.OpenSegment(name)
		if err != nil {
			t.Fatal(err)
		}
		for s := audit.NewScanner(f); s.Scan(); {
			sum := sha256.Sum256(s.Bytes())
			var m map[string]any
			if err := json.Unmarshal(s.Bytes(), &m); err != nil {
				if half {
					t.Fatalf("%s: %q is not JSON: %v", name, s.Bytes(), err)
				}
				prev, half = hex.EncodeToString(sum[:]), true
				continue
			}
			if half && m["type"] != "torn" {
				t.Fatalf("%s: nothing is said about half a line before %s", name, s.Bytes())
			}
			half = false
			if m["prev"] != prev || m["seq"] != seq+1 {
				t.Fatalf("%s: %s\nis not behind line %v with hash %s", name, s.Bytes(), seq, prev)
			}
			prev, seq = hex.EncodeToString(sum[:]), seq+1
			out = append(out, m)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// count counts records of a type.
func count(all []map[string]any, kind string) (n int) {
	for _, m := range all {
		if m["type"] == kind {
			n++
		}
	}
	return n
}

func open(t *testing.T, c audit.Config) *audit.Log {
	t.Helper()
	l := audit.Open(c)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// until writes records until ok, which a look at the file's name makes true.
func until(t *testing.T, l *audit.Log, r *op.Record, ok func() bool) (written int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); written++ {
		if err := l.Intent(r); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatal("the log has not looked at the name of its file for a minute")
		}
	}
	return written
}

func exists(path string) func() bool {
	return func() bool { _, err := os.Stat(path); return err == nil }
}

func TestEachLineNamesTheOneBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	r := record(t, `{"path":"a"}`)
	for range 3 { // a restart goes on where the file ends
		l := open(t, audit.Config{Path: path})
		for range 5 {
			if err := l.Intent(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := chained(t, path); len(got) != 15 {
		t.Errorf("got %d lines, want 15", len(got))
	}
}

// TestAMovedFileIsLeft: records go to the name, with or without a word about it.
func TestAMovedFileIsLeft(t *testing.T) {
	for name, told := range map[string]bool{"told": true, "not told": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, old := filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "moved")
			l, r := open(t, audit.Config{Path: path}), record(t, `{"path":"a"}`)
			if err := firstOf(l.Intent(r), os.Rename(path, old)); err != nil {
				t.Fatal(err)
			}
			if told {
				if err := l.Reopen(); err != nil {
					t.Fatal(err)
				}
			}
			n := 1 + until(t, l, r, exists(path))
			got := chained(t, old, path)
			if count(got, "intent") != n || count(got, "segment") != 1 {
				t.Errorf("got %d records and %d segments, want %d and 1", count(got, "intent"), count(got, "segment"), n)
			}
			if last := got[len(got)-2]; last["type"] != "segment" || last["reason"] != "moved" || last["after"] != last["prev"] {
				t.Errorf("the new file begins with %v", last)
			}
		})
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestARemovedFileIsKept: its records come back as an older segment.
func TestARemovedFileIsKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	l, r := open(t, audit.Config{Path: path}), record(t, `{"path":"a"}`)
	if err := firstOf(l.Intent(r), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	n := 1 + until(t, l, r, exists(path))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := chained(t, filepath.Join(dir, "audit-000000000001.jsonl"), path)
	if count(got, "intent") != n {
		t.Errorf("got %d records, want %d", count(got, "intent"), n)
	}
}

// TestAFileThatWasRemovedLastIsKept: also when the log is closed, or told to open its
// file again, before a write has looked at the name.
func TestAFileThatWasRemovedLastIsKept(t *testing.T) {
	for name, let := range map[string]func(*audit.Log) error{"closed": (*audit.Log).Close, "opened again": (*audit.Log).Reopen} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "audit.jsonl")
			l, r := open(t, audit.Config{Path: path}), record(t, `{"path":"a"}`)
			if err := firstOf(l.Intent(r), l.Intent(r), os.Remove(path), let(l), l.Close()); err != nil {
				t.Fatal(err)
			}
			if got := chained(t, filepath.Join(dir, "audit-000000000001.jsonl")); count(got, "intent") != 2 {
				t.Errorf("got %d records, want 2", count(got, "intent"))
			}
		})
	}
}

// TestAFileWhoseDirectoryIsGoneEndsInAnError, and not in a search for a free name.
func TestAFileWhoseDirectoryIsGoneEndsInAnError(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	l, r := open(t, audit.Config{Path: filepath.Join(dir, "audit.jsonl")}), record(t, `{"path":"a"}`)
	if err := firstOf(l.Intent(r), os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err == nil {
		t.Error("the records are nowhere, and nothing was said")
	}
}

// TestAShortenedFileIsContinued: copytruncate leaves no hole, and is on record.
func TestAShortenedFileIsContinued(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "copy")
	l, r := open(t, audit.Config{Path: path}), record(t, `{"path":"a"}`)
	for range 10 {
		if err := l.Intent(r); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err := firstOf(err, os.WriteFile(copied, raw, 0o600), os.Truncate(path, 0)); err != nil {
		t.Fatal(err)
	}
	until(t, l, r, func() bool {
		raw, _ := os.ReadFile(path)
		return bytes.Contains(raw, []byte(`"truncated"`))
	})
	if raw, _ = os.ReadFile(path); bytes.IndexByte(raw, 0) >= 0 {
		t.Error("the file has a hole")
	}
	chained(t, copied, path)
}

// TestATornLineIsSteppedOver: what a killed process left of a line stays, a newline
// ends it, and a record says so.
func TestATornLineIsSteppedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	r := record(t, `{"path":"a"}`)
	l := open(t, audit.Config{Path: path})
	if err := firstOf(l.Intent(r), l.Intent(r), l.Close()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(raw, raw[:57]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Intent(r); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(now, append(append(raw, raw[:57]...), '\n')) {
		t.Fatalf("what was there has changed: %s, %v", now, err)
	}
	got := chained(t, path)
	if len(got) != 4 || got[2]["type"] != "torn" || got[2]["bytes"] != 57.0 || got[2]["after_seq"] != 2.0 {
		t.Errorf("got %v, want two records, the one about half a line, and one more", got)
	}
}

// TestAFullDiskLosesNothingThatWasSaid: a write that stops inside a line refuses the
// record and keeps those that were whole; when there is room again, the file goes on.
func TestAFullDiskLosesNothingThatWasSaid(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, r := open(t, audit.Config{Path: path}), record(t, `{"path":"a"}`)
	const before = 3000 // the bound is on every file of the process, and the test's own log must fit
	for range before {
		if err := l.Intent(r); err != nil {
			t.Fatal(err)
		}
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	small := was
	small.Cur = uint64(st.Size()) + 100
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	failed, refused := l.Intent(r), l.Check()
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if failed == nil || refused == nil {
		t.Fatalf("a record that does not fit: %v; ready: %v", failed, refused)
	}
	if err := firstOf(l.Check(), l.Intent(r)); err != nil {
		t.Fatal(err)
	}
	got := chained(t, path)
	if count(got, "intent") != before+1 || count(got, "torn") == 0 || count(got, "resumed") != 1 {
		t.Errorf("got %v", got)
	}
}

// TestASecondWriterIsRefused: its records would break the chain of the first.
func TestASecondWriterIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	r := record(t, `{"path":"a"}`)
	first, second, beside := open(t, audit.Config{Path: path}), open(t, audit.Config{Path: path}), open(t, audit.Config{Path: path, Share: true})
	if err := first.Intent(r); err != nil {
		t.Fatal(err)
	}
	if err := second.Intent(r); err == nil || !strings.Contains(err.Error(), "AUDIT_FILE") {
		t.Errorf("got %v, want an error that says what to do", err)
	}
	if err := firstOf(beside.Intent(r), first.Intent(r), first.Close(), second.Intent(r)); err != nil {
		t.Fatal(err)
	}
	if n := count(chained(t, path), "intent"); n != 3 {
		t.Errorf("got %d lines, want 3", n)
	}
	if n := len(chained(t, filepath.Join(dir, "audit.2.jsonl"))); n != 1 {
		t.Errorf("got %d lines beside it, want 1", n)
	}
}

// TestSegments: full files lie beside the new one, none too many, and the chain goes
// through all of them.
func TestSegments(t *testing.T) {
	for name, c := range map[string]audit.Segments{
		"size": {MaxBytes: 4 << 10}, "compressed": {MaxBytes: 4 << 10, Compress: true}, "age": {MaxAge: time.Nanosecond},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "audit.jsonl")
			l, r := open(t, audit.Config{Path: path, Segments: c}), record(t, `{"path":"a"}`)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 25 {
						if err := l.Intent(r); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "audit-*"))
			slices.Sort(files)
			if c.Compress != strings.HasSuffix(files[0], ".gz") || len(files) < 3 {
				t.Fatalf("got %q", files)
			}
			got := chained(t, append(files, path)...)
			if count(got, "intent") != 100 || count(got, "segment") != len(files) {
				t.Errorf("got %d records and %d segments in %d files", count(got, "intent"), count(got, "segment"), len(files)+1)
			}
		})
	}
}

func TestFullFilesThatAreTooManyGo(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	l, r := open(t, audit.Config{Path: path, Segments: audit.Segments{MaxBytes: 1, Keep: 2}}), record(t, `{"path":"a"}`)
	for range 10 {
		if err := l.Intent(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "audit-*")); len(files) != 2 {
		t.Errorf("got %q, want two", files)
	}
}

// TestACrashBetweenTwoFilesKeepsTheChain: a new file goes on behind the newest full
// one, also when nobody remembers its last line.
func TestACrashBetweenTwoFilesKeepsTheChain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	r := record(t, `{"path":"a"}`)
	l := open(t, audit.Config{Path: path})
	full := filepath.Join(dir, "audit-000000000001.jsonl")
	if err := firstOf(l.Intent(r), l.Close(), os.Rename(path, full)); err != nil {
		t.Fatal(err)
	}
	if err := open(t, audit.Config{Path: path}).Intent(r); err != nil {
		t.Fatal(err)
	}
	if got := chained(t, full, path); len(got) != 3 {
		t.Errorf("got %d lines, want two records and the segment", len(got))
	}
}

// TestOldEvidenceIsContinued: behind lines without a chain one begins.
func TestOldEvidenceIsContinued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte("{\"type\":\"intent\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, r := open(t, audit.Config{Path: path}), record(t, `{"path":"a"}`)
	if err := firstOf(l.Intent(r), l.Intent(r)); err != nil {
		t.Fatal(err)
	}
	got := lines(t, path)
	if len(got) != 3 || got[1]["seq"] != 1.0 || got[1]["prev"] != strings.Repeat("0", 64) || got[2]["seq"] != 2.0 {
		t.Errorf("got %v", got)
	}
}

func TestStandardOutput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stdout
	os.Stdout = w
	t.Cleanup(func() { os.Stdout = was })
	l, rec := audit.Open(audit.Config{Path: audit.Stdout, Group: true}), record(t, `{"path":"a"}`)
	if err := firstOf(l.Check(), l.Intent(rec), l.Outcome(rec), l.Close()); err != nil {
		t.Fatal(err)
	}
	os.Stdout = was
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s := audit.NewScanner(r)
	for _, want := range []string{"intent", "outcome"} {
		var m map[string]any
		if !s.Scan() || json.Unmarshal(s.Bytes(), &m) != nil || m["type"] != want {
			t.Errorf("got %s, want the %s", s.Bytes(), want)
		}
	}
}

// BenchmarkConcurrentIntents: those who wait for the one that writes go with the next
// write, all of them.
func BenchmarkConcurrentIntents(b *testing.B) {
	for _, group := range []bool{false, true} {
		b.Run(fmt.Sprintf("group=%v", group), func(b *testing.B) {
			l := audit.Open(audit.Config{Path: filepath.Join(b.TempDir(), "audit.jsonl"), Group: group})
			r := record(b, `{"path":"mcp/bot/app"}`)
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.Intent(r); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func writeFile(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func removeFile(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
