package bundle_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"portcullis/gateway/policy/bundle"
)

// asNobody does something with the rights that a user without any has to files.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	const nobody = 65534
	runtime.LockOSThread() // the right is the thread's
	defer runtime.UnlockOSThread()
	set := func(uid uintptr) {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, uid, 0, 0); errno != 0 {
			t.Fatal(errno)
		}
	}
	set(nobody)
	defer set(0)
	do()
}

// What the gateway's user may not read is said of each file, and how to mend it.
func TestFilesThatMayNotBeRead(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a.rego", "data.yaml", "sub/b.rego"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("package policy.deny.a\n"), 0o000); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "sub"), 0o000); err != nil {
		t.Fatal(err)
	}
	var err error
	asNobody(t, func() { _, err = bundle.Read(dir, nil) })
	if e := os.Chmod(filepath.Join(dir, "sub"), 0o700); e != nil {
		t.Fatal(e)
	}
	f, ok := errors.AsType[*bundle.Faults](err)
	if !ok || len(f.All) != 3 {
		t.Fatalf("got %v", err)
	}
	for i, name := range []string{"a.rego", "data.yaml", "sub"} {
		if f.All[i].Name != filepath.Join(dir, name) || f.All[i].Cure == "" {
			t.Errorf("got %+v, want %s", f.All[i], name)
		}
	}
}
