package wasmcmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"portcullis/gateway/transform"
	"portcullis/wasm"
)

// New writes a project for a module into a directory that does not exist yet.
// The name of the directory is the name of the module; lang is go or rust.
func New(w io.Writer, lang, dir string) error {
	name := filepath.Base(filepath.Clean(dir))
	if !transform.ValidName(name) {
		return fmt.Errorf("%q cannot be the name of a module: use a-z, 0-9 and -", name)
	}
	root := path.Join("sdk", lang)
	files, err := fs.ReadDir(wasm.Kits, root)
	if err != nil {
		return fmt.Errorf("language %q is not go or rust", lang)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		text, err := fs.ReadFile(wasm.Kits, path.Join(root, f.Name()))
		if err == nil {
			err = write(dir, f.Name(), strings.ReplaceAll(string(text), "name: NAME", "name: "+name))
		}
		if err != nil {
			return err
		}
	}
	if lang == "go" {
		if err := write(dir, "go.mod", "module "+name+"\n\ngo 1.24\n"); err != nil {
			return err
		}
	}
	return next(w, dir)
}

func write(dir, name, text string) error {
	mode := fs.FileMode(0o644)
	if strings.HasSuffix(name, ".sh") {
		mode = 0o755
	}
	if strings.HasSuffix(name, ".wasm") {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, name), []byte(text), mode)
}

// next tells what to do with the project.
func next(w io.Writer, dir string) error {
	m := filepath.Join(dir, "manifest.yaml")
	_, err := fmt.Fprintf(w, `%s is ready. Edit it, then:
  sh %s
  portcullis wasm test %s
  portcullis wasm pin %s
  WASM_MANIFEST=%s portcullis serve
`, dir, filepath.Join(dir, "build.sh"), m, m, m)
	return errors.Join(err)
}
