package bundle_test

import (
	"os"
	"path/filepath"
	"testing"

	"portcullis/gateway/policy/bundle"
)

// Whatever changes in a source changes its stamp, also when the size and the time of the
// file stay the same.
func TestStampsTellEveryChange(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	top := t.TempDir()
	one, two, link := filepath.Join(top, "one"), filepath.Join(top, "two"), filepath.Join(top, "link")
	for _, dir := range []string{one, two, filepath.Join(one, ".git"), filepath.Join(one, "..data")} {
		must(os.MkdirAll(dir, 0o700))
		must(os.WriteFile(filepath.Join(dir, "data.yaml"), []byte("a: 1"), 0o600))
	}
	must(os.Symlink(one, link))
	must(os.Symlink("..data/data.yaml", filepath.Join(one, "linked.rego")))
	info, err := os.Stat(filepath.Join(one, "data.yaml"))
	must(err)
	before, newest := bundle.Stamp(link)
	if again, _ := bundle.Stamp(link); again != before || newest.IsZero() {
		t.Fatalf("%s and %s of the same files, newest %v", before, again, newest)
	}
	for name, change := range map[string]func() error{
		"a file of the same size and time": func() error {
			if err := os.WriteFile(filepath.Join(one, "data.yaml"), []byte("a: 2"), 0o600); err != nil {
				return err
			}
			return os.Chtimes(filepath.Join(one, "data.yaml"), info.ModTime(), info.ModTime())
		},
		"a file in the place of another": func() error { return os.Rename(filepath.Join(two, "data.yaml"), filepath.Join(one, "data.yaml")) },
		"a new file":                     func() error { return os.WriteFile(filepath.Join(one, "r.rego"), nil, 0o600) },
		"rights":                         func() error { return os.Chmod(filepath.Join(one, "data.yaml"), 0o400) },
		"what a link is to":              func() error { return os.WriteFile(filepath.Join(one, "..data", "data.yaml"), []byte("b: 22"), 0o600) },
		"what git does":                  func() error { return os.WriteFile(filepath.Join(one, ".git", "index.lock"), nil, 0o600) },
	} {
		before, _ := bundle.Stamp(link)
		must(change())
		if after, _ := bundle.Stamp(link); after == before {
			t.Errorf("%s changes nothing", name)
		}
	}
	before, _ = bundle.Stamp(link)
	must(os.Remove(link))
	if after, _ := bundle.Stamp(link); after == before {
		t.Error("a source that is gone changes nothing")
	}
	must(os.Symlink(two, link))
	if after, _ := bundle.Stamp(link); after == before {
		t.Error("another directory changes nothing")
	}
}
