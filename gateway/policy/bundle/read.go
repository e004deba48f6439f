package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"portcullis/policies"
)

// Read reads the bundle at a path: a directory, one .rego or data file, or an
// archive (.tar.gz), which must be signed by one of the keys.
func Read(path string, keys Keys) (*Bundle, error) { return (&Bundle{}).from(path, keys) }

// Peek is Read without decoding the data: enough to see whether anything has changed,
// which is asked every few seconds.
func Peek(path string, keys Keys) (*Bundle, error) {
	return (&Bundle{undecoded: true}).from(path, keys)
}

func (b *Bundle) from(path string, keys Keys) (*Bundle, error) {
	b, err := b.read(path, keys)
	if f, ok := errors.AsType[*Faults](err); ok {
		for _, one := range f.All {
			one.Name = placeOf(path) + "/" + one.Name
		}
		for i := range f.Files {
			f.Files[i].Name = placeOf(path) + "/" + f.Files[i].Name
		}
		return nil, fmt.Errorf("the policy cannot be read: %w", f)
	}
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", path, err)
	}
	b.Place = placeOf(path)
	if len(b.Rules)+len(b.Tests) == 0 && b.DataFile.Name == "" {
		return nil, fmt.Errorf("policy %s: there is neither a rule nor data in it, as when a volume is not mounted; for no policy of one's own, put an empty data.yaml there or unset POLICY_DIR", path)
	}
	b.Rules, b.Tests = slices.DeleteFunc(b.Rules, embedded), slices.DeleteFunc(b.Tests, embedded)
	return b, nil
}

// placeOf is where the files of a bundle lie, for messages.
func placeOf(path string) string {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() && !Signed(path) {
		return filepath.Dir(path)
	}
	return path
}

// embedded reports whether a file is one of the embedded ones, unchanged, as in a
// copy of the default policy that somebody adds to.
func embedded(f File) bool {
	text, err := fs.ReadFile(policies.Files(), f.Name)
	return err == nil && bytes.Equal(text, f.Text)
}

func (b *Bundle) read(path string, keys Keys) (*Bundle, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return b.readDir(path)
	case Signed(path):
		return readSigned(path, keys)
	}
	return b.readFile(path, filepath.Base(path))
}

// readDir reads a directory. Links are followed within it, as those of a mounted
// ConfigMap, and not out of it.
func (b *Bundle) readDir(path string) (*Bundle, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	return b.readFS(root.FS())
}

func (b *Bundle) readFile(path, name string) (*Bundle, error) {
	if !wanted(name) {
		return nil, fmt.Errorf("neither a .rego file, data.json, data.yaml nor a .tar.gz archive")
	}
	faults := &Faults{}
	if err := faults.add(b.load(os.DirFS(filepath.Dir(path)), name)); err != nil {
		return nil, err
	}
	return b.finished(faults)
}

// finished is the bundle when nothing is wrong with its files.
func (b *Bundle) finished(faults *Faults) (*Bundle, error) {
	if err := faults.add(b.finish()); err != nil {
		return nil, err
	}
	if err := faults.of(b); err != nil {
		return nil, err
	}
	return b, nil
}

// readFS reads a tree. Rules may lie in directories, data only at the top; what
// begins with a dot is left alone (a mounted ConfigMap has such directories).
func (b *Bundle) readFS(tree fs.FS) (*Bundle, error) {
	faults := &Faults{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return faults.add(unreadable(name, err))
		case name != "." && strings.HasPrefix(d.Name(), "."):
			return b.hidden(tree, name, d)
		case d.IsDir() && wanted(strings.ToLower(name)):
			return faults.add(&Fault{name, 1, "a directory, where a file is meant", "put the file here; a container has a directory where the file that it was to mount is missing"})
		case d.IsDir():
			return nil
		}
		return faults.add(b.visit(tree, name, d))
	})
	if err != nil {
		return nil, err
	}
	return b.finished(faults)
}

// unreadable is what the system says of a file or a directory that it does not let be
// read. What fails for any other reason is no fault of the file.
func unreadable(name string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return &Fault{name, 1, "it may not be read: permission denied", "let the gateway's user read it (chmod, chown)"}
	}
	return err
}

// visit takes a file, or says why it is not one of the bundle's: what is left out
// without a word would be a rule that refuses nobody.
func (b *Bundle) visit(tree fs.FS, name string, d fs.DirEntry) error {
	if d.Type()&fs.ModeSymlink != 0 {
		if info, err := fs.Stat(tree, name); err != nil || info.IsDir() {
			return &Fault{name, 1, "a link to a directory, or out of this one, which is not followed", "put the files themselves here"}
		}
	}
	base := strings.ToLower(d.Name())
	switch {
	case wanted(name):
		return b.load(tree, name)
	case strings.HasPrefix(name, "schema/"): // what editors check data with, as the embedded policy has it
	case isData(d.Name()):
		return &Fault{name, 1, "data lie at the top of the bundle, and this file does not", "move what is in it into data.yaml, below team.<team> if it is for rules"}
	case !slices.Contains([]string{".md", ".txt", ""}, filepath.Ext(base)) || looksLikeRules(tree, name):
		b.Unread = append(b.Unread, name)
	}
	return nil
}

// hidden notes files whose names begin with a dot and that hold rules. Directories of
// version control, and those of a mounted ConfigMap, which begin with two dots and whose
// files are linked, are not looked into.
func (b *Bundle) hidden(tree fs.FS, name string, d fs.DirEntry) error {
	switch {
	case d.IsDir() && (d.Name() == ".git" || strings.HasPrefix(d.Name(), "..")):
		return fs.SkipDir
	case d.IsDir():
		err := fs.WalkDir(tree, name, func(inner string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && looksLikeRules(tree, inner) {
				b.Unread = append(b.Unread, inner)
			}
			return err
		})
		if err != nil {
			return err
		}
		return fs.SkipDir
	case d.Type().IsRegular() && looksLikeRules(tree, name):
		b.Unread = append(b.Unread, name)
	}
	return nil
}

// looksLikeRules reports whether a file is meant to hold rules, whatever it is called.
func looksLikeRules(tree fs.FS, name string) bool {
	if strings.Contains(strings.ToLower(filepath.Base(name)), ".rego") {
		return true
	}
	info, err := fs.Stat(tree, name)
	if err != nil || !info.Mode().IsRegular() { // a pipe would be waited for
		return false
	}
	f, err := tree.Open(name)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	text := make([]byte, 4096)
	n, _ := f.Read(text)
	for line := range bytes.Lines(text[:n]) {
		if bytes.HasPrefix(line, []byte("package policy.")) {
			return true
		}
	}
	return false
}

func (b *Bundle) load(tree fs.FS, name string) error {
	if len(b.Rules)+len(b.Tests) >= MaxFiles {
		return fmt.Errorf("more than %d files", MaxFiles)
	}
	info, err := fs.Stat(tree, name)
	if err != nil {
		return &Fault{name, 1, err.Error(), "put a file here, or a link that does not leave the directory"}
	}
	switch {
	case !info.Mode().IsRegular():
		return &Fault{name, 1, "not a regular file", "put a file here"}
	case info.Size() > MaxFile:
		return &Fault{name, 1, fmt.Sprintf("larger than %d bytes", MaxFile), "split it, or keep the data elsewhere"}
	}
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return unreadable(name, err)
	}
	return b.add(File{name, text})
}
