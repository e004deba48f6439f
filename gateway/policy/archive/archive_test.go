package archive_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/policy/archive"
)

// id is an id that was made at a time.
func id(at time.Time, n int) string {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	out, ms := make([]byte, 10), at.UnixMilli()
	for i := range out {
		out[9-i], ms = digits[ms&31], ms>>5
	}
	return fmt.Sprintf("%s%016d", out, n)
}

func line(id string) []byte {
	return fmt.Appendf(nil, `{"v":1,"id":%q,"input":{"id":"other","filler":%q}}`+"\n", id, strings.Repeat("x", 600))
}

// TestEveryDecisionIsFound: in whichever file it is, in the middle of others of nearly
// the same time, and after a restart.
func TestEveryDecisionIsFound(t *testing.T) {
	c := archive.Config{Path: filepath.Join(t.TempDir(), "d[1].jsonl"), MaxBytes: 1 << 20}
	a, err := archive.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	const n = 8000
	start := time.Unix(1_800_000_000, 0)
	at := func(i int) string {
		late := time.Duration(i%7) * 200 * time.Millisecond // not quite in order
		return id(start.Add(time.Duration(i)*time.Second-late), i)
	}
	for i := range n {
		if err := a.Write(line(at(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err = archive.Open(c); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 1, 6, 1000, 1745, 1746, 1747, 1748, 3500, n - 2, n - 1} {
		got, err := a.Find(at(i))
		if err != nil || string(got) != string(line(at(i))) {
			t.Errorf("%d: got %.60q, %v", i, got, err)
		}
	}
	for _, absent := range []string{"", "d1", id(start.Add(-time.Hour), 1), id(start.Add(time.Hour/2), 999_999), id(start.Add(n*time.Second+time.Hour), 1)} {
		if got, err := a.Find(absent); !errors.Is(err, archive.ErrAbsent) {
			t.Errorf("%q: got %.60q, %v", absent, got, err)
		}
	}
}

// TestOldFilesGo: no more full files stay than are kept.
func TestOldFilesGo(t *testing.T) {
	dir := t.TempDir()
	a, err := archive.Open(archive.Config{Path: filepath.Join(dir, "d.jsonl"), MaxBytes: 4 << 10, Keep: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := a.Write(line(id(time.Unix(int64(i), 0), i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 4 {
		t.Errorf("got %d files, %v", len(files), err)
	}
	for _, f := range files {
		if st, err := f.Info(); err != nil || st.Size() > 4<<10 {
			t.Errorf("%s: %v", f.Name(), err)
		}
	}
}

// TestAMovedFileIsLeft: a file that was moved away is written to its end, and the next
// line is in a new one.
func TestAMovedFileIsLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.jsonl")
	a, err := archive.Open(archive.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { return a.Write([]byte("one\n")) }, a.Flush,
		func() error { return os.Rename(path, path+".moved") },
		func() error { return a.Write([]byte("two\n")) }, a.Flush,
		func() error { return a.Write([]byte("three\n")) }, a.Close,
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	moved, err := os.ReadFile(path + ".moved")
	now, nerr := os.ReadFile(path)
	if string(moved) != "one\ntwo\n" || string(now) != "three\n" {
		t.Errorf("got %q and %q, %v, %v", moved, now, err, nerr)
	}
}
