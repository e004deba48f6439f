package files_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/files"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPollLoadsWhatHasChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f := files.New(path)
	loads := 0
	poll := func() (bool, error) { return f.Poll(func([]byte) error { loads++; return nil }) }
	if _, err := poll(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	write(t, path, "one")
	for i, want := range []bool{true, false, false} {
		if got, err := poll(); got != want || err != nil {
			t.Errorf("poll %d: got %v, %v, want %v", i, got, err, want)
		}
	}
	stamp := time.Now().Add(-time.Hour) // a replaced file with the same size and time
	if err := os.Chtimes(path, stamp, stamp); err != nil {
		t.Fatal(err)
	}
	if got, _ := poll(); !got {
		t.Error("another time was not seen")
	}
	write(t, path+".new", "two")
	if err := errors.Join(os.Chtimes(path+".new", stamp, stamp), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
	if got, _ := poll(); !got || loads != 3 {
		t.Errorf("a replaced file was not seen; %d loads", loads)
	}
}

func TestARefusedContentIsTriedAgainLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "bad")
	synctest.Test(t, func(t *testing.T) {
		f, loads := files.New(path), 0
		for range 100 {
			if _, err := f.Poll(func([]byte) error { loads++; return errors.New("bad") }); err == nil {
				t.Fatal("no error")
			}
		}
		if loads != 1 {
			t.Errorf("got %d loads, want 1", loads)
		}
		<-time.After(files.Retry)
		if changed, err := f.Poll(func([]byte) error { return nil }); !changed || err != nil {
			t.Errorf("later: got %v, %v", changed, err)
		}
	})
}

func Example() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "motd")
	_ = os.WriteFile(path, []byte("hello"), 0o600)
	f := files.New(path)
	show := func(b []byte) error { fmt.Println(string(b)); return nil }
	fmt.Println(f.Poll(show))
	fmt.Println(f.Poll(show))
	// Output:
	// hello
	// true <nil>
	// false <nil>
}
