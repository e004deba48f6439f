// Package firm keeps the few documents of the gateway that must not be lost: what has been
// revoked. It is a file of one gateway, or a place in Vault for all replicas.
package firm

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"portcullis/gateway/store/dir"
)

// ErrChanged says that a document has another version than the one that was to be replaced.
var ErrChanged = errors.New("somebody else has written meanwhile")

// Store keeps documents by name.
type Store interface {
	// Read returns a document and its version, which is 0 for one that is not there.
	Read(ctx context.Context, name string) (data []byte, version int, err error)
	// Write replaces a document of this version, and returns the new one. When it returns,
	// the document is kept for good. Its error wraps ErrChanged for another version.
	Write(ctx context.Context, name string, data []byte, version int) (int, error)
}

// attempts bounds how often an update begins anew because others have written.
const attempts = 16

// Update changes a document, whoever else changes it at the same time, and returns it with
// its version.
func Update(ctx context.Context, s Store, name string, change func([]byte) ([]byte, error)) (data []byte, version int, err error) {
	for range attempts {
		if data, version, err = s.Read(ctx, name); err != nil {
			return nil, 0, err
		}
		if data, err = change(data); err != nil {
			return nil, 0, err
		}
		if version, err = s.Write(ctx, name, data, version); !errors.Is(err, ErrChanged) {
			return data, version, err
		}
	}
	return nil, 0, fmt.Errorf("after %d attempts: %w", attempts, err)
}

// File keeps documents in the directory of one gateway; without a directory, until the
// process ends. It is safe for concurrent use.
type File struct {
	dir *dir.Dir

	mu   sync.Mutex // guards docs, and makes one write at a time
	docs map[string]doc
}

type doc struct {
	data    []byte
	version int
}

// NewFile keeps documents in a directory that is locked before they are used.
func NewFile(d *dir.Dir) *File { return &File{dir: d, docs: map[string]doc{}} }

// Read implements Store.
func (f *File) Read(_ context.Context, name string) ([]byte, int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.load(name)
	return d.data, d.version, err
}

// load reads a file once: nobody else writes it. The lock is held.
func (f *File) load(name string) (doc, error) {
	if d, ok := f.docs[name]; ok {
		return d, nil
	}
	data, err := f.dir.Read(name)
	if err != nil {
		return doc{}, err
	}
	d := doc{data: data}
	if data != nil {
		d.version = 1
	}
	f.docs[name] = d
	return d, nil
}

// Write implements Store.
func (f *File) Write(_ context.Context, name string, data []byte, version int) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.load(name)
	if err != nil {
		return 0, err
	}
	if d.version != version {
		return 0, ErrChanged
	}
	if err := f.dir.Write(name, data); err != nil {
		return 0, err
	}
	f.docs[name] = doc{data, version + 1}
	return version + 1, nil
}
