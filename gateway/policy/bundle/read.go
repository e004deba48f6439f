package bundle

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Read reads the bundle at a path: a directory, one .rego or data file, or an
// archive (.tar.gz), which must be signed by one of the keys.
func Read(path string, keys Keys) (*Bundle, error) {
	b, err := read(path, keys)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", path, err)
	}
	b.Place = path
	return b, nil
}

func read(path string, keys Keys) (*Bundle, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return readFS(os.DirFS(path))
	case strings.HasSuffix(path, ".tar.gz"):
		return readSigned(path, keys)
	}
	return readFile(path, filepath.Base(path))
}

func readFile(path, name string) (*Bundle, error) {
	if !wanted(name) {
		return nil, fmt.Errorf("neither a .rego file, data.json, data.yaml nor a .tar.gz archive")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b := &Bundle{}
	if err := b.add(File{name, text}); err != nil {
		return nil, err
	}
	return b, b.finish()
}

// readFS reads a tree. Rules may lie in directories, data only at the top; what
// begins with a dot is left alone (a mounted ConfigMap has such directories).
func readFS(tree fs.FS) (*Bundle, error) {
	b := &Bundle{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() || !wanted(name):
			return nil
		}
		return b.load(tree, name)
	})
	if err != nil {
		return nil, err
	}
	return b, b.finish()
}

func (b *Bundle) load(tree fs.FS, name string) error {
	if len(b.Rules)+len(b.Tests) >= MaxFiles {
		return fmt.Errorf("more than %d files", MaxFiles)
	}
	info, err := fs.Stat(tree, name)
	if err != nil {
		return err
	}
	if info.Size() > MaxFile {
		return fmt.Errorf("%s: larger than %d bytes", name, MaxFile)
	}
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return err
	}
	return b.add(File{name, text})
}
