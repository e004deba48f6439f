package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
)

// tempDir holds files that are being written; what is in it at a start was cut
// off by a crash.
const tempDir = "temp"

// files is Vault's file storage with one difference: a write that a crash cuts
// off leaves nothing behind. The original makes its temporary file where it
// also looks for entries, so that a fragment is later read as an entry, and one
// among the leases keeps Vault sealed.
type files struct {
	*file.FileBackend
	dir, temp string
}

func openFiles(dir string, log hclog.Logger) (*files, error) {
	f := &files{dir: filepath.Join(dir, "vault"), temp: filepath.Join(dir, tempDir)}
	backend, err := file.NewFileBackend(map[string]string{"path": f.dir}, log)
	if err != nil {
		return nil, err
	}
	f.FileBackend = backend.(*file.FileBackend)
	if err := os.RemoveAll(f.temp); err != nil {
		return nil, err
	}
	return f, os.MkdirAll(f.temp, 0o700)
}

// Put writes the same form as [file.FileBackend.Put]: JSON, in a file named
// after the last element of the key with an underscore in front.
func (f *files) Put(_ context.Context, entry *physical.Entry) error {
	if !filepath.IsLocal(entry.Key) {
		return fmt.Errorf("storage key %q leaves the directory", entry.Key)
	}
	raw, err := json.Marshal(map[string][]byte{"Value": entry.Value})
	if err != nil {
		return err
	}
	parent, name := filepath.Split(filepath.Join(f.dir, entry.Key))
	f.Lock()
	defer f.Unlock()
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	return replaceFile(f.temp, filepath.Join(parent, "_"+name), raw)
}

// replaceFile leaves the old content or the new one, never a part of either.
func replaceFile(temp, path string, content []byte) error {
	f, err := os.CreateTemp(temp, "")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
