package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a project that has nothing but a README.
func write(t *testing.T, readme string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"gateway/ops", "gateway/openapi", "gateway/docs"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "README.md"), []byte(readme), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

func read(t *testing.T, root, file string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// What is in the repository is what would be written.
func TestCurrent(t *testing.T) {
	var out strings.Builder
	if code := run([]string{"-check"}, "../..", &out); code != 0 {
		t.Errorf("got %d: %s", code, out.String())
	}
}

func TestWrite(t *testing.T) {
	root := write(t, "before\n"+begin+"STALE\n"+end+"\nafter\n")
	var out strings.Builder
	if code := run([]string{"-check"}, root, &out); code != 1 || strings.Count(out.String(), "make gen") != len(artifacts()) {
		t.Errorf("got %d %q, want 1 and every file stale", code, out.String())
	}
	if code := run(nil, root, &out); code != 0 {
		t.Fatalf("got %d %s", code, out.String())
	}
	text := read(t, root, "README.md")
	if !strings.HasPrefix(text, "before\n") || !strings.HasSuffix(text, "\nafter\n") ||
		strings.Contains(text, "STALE") || !strings.Contains(text, "`GET /secrets/{path}:metadata`") {
		t.Errorf("got %s", text)
	}
	if text := read(t, root, "gateway/ops/OPERATIONS.md"); !strings.Contains(text, "| `results[].error.code` | string, required |") {
		t.Error("the reference does not show what is in lists")
	}
	if code := run([]string{"-check"}, root, &out); code != 0 {
		t.Errorf("got %d after writing, want 0", code)
	}
}

func TestWrong(t *testing.T) {
	var out strings.Builder
	if code := run([]string{"-check"}, write(t, "no markers"), &out); code != 1 || !strings.Contains(out.String(), "markers") {
		t.Errorf("got %d %s, want 1 for missing markers", code, out.String())
	}
	for _, args := range [][]string{{"-nope"}, {"more"}} {
		if code := run(args, t.TempDir(), &out); code != 2 {
			t.Errorf("%v: got %d, want 2", args, code)
		}
	}
}
