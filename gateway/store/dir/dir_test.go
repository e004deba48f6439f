package dir_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"portcullis/gateway/store/dir"
)

func TestOneGatewayHasADirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "state")
	first, second := dir.New(path), dir.New(path)
	if err := first.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := second.Lock(); !errors.Is(err, dir.ErrLocked) {
		t.Fatalf("a second gateway got %v", err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v", st.Mode(), err)
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := second.Lock(); err != nil {
		t.Errorf("after the first one has gone: %v", err)
	}
}

func TestFiles(t *testing.T) {
	d := dir.New(filepath.Join(t.TempDir(), "state"))
	if err := d.Lock(); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Read("sessions"); got != nil || err != nil {
		t.Errorf("a file that is not there: %q, %v", got, err)
	}
	for _, want := range []string{"one", "another", ""} {
		if err := d.Write("sessions", []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Read("sessions"); string(got) != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if st, err := os.Stat(d.Path("sessions")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", st.Mode(), err)
	}
	if left, _ := filepath.Glob(d.Path(".sessions-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWithoutADirectoryNothingIsKept(t *testing.T) {
	d := dir.New("")
	if err := errors.Join(d.Lock(), d.Write("a", []byte("x")), d.Unlock()); err != nil {
		t.Error(err)
	}
	if got, err := d.Read("a"); got != nil || err != nil || d.Path("a") != "" {
		t.Errorf("got %q, %v", got, err)
	}
}
