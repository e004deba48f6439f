package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
)

// store is where a core keeps its data, and the keys that open it: in memory,
// or in a directory that belongs to one process at a time.
type store struct {
	kind    string
	backend physical.Backend
	ha      physical.HABackend // nil: for one node alone
	dir     string             // empty: in memory
	lock    *os.File
}

// keys make a restarted Vault the same one again.
type keys struct {
	UnsealKey string `json:"unseal_key"`
	// SetupToken is Vault's first root token. It outlives the start that made
	// it, because a later one may be asked for another --root-token.
	SetupToken string `json:"setup_token"`
	SecretID   string `json:"secret_id"`
	// SetUp is false as long as a start was never seen to finish.
	SetUp bool `json:"set_up"`
}

// openStore opens a directory, or with "" memory, which two nodes can share.
func openStore(dir string, shared bool, log hclog.Logger) (*store, error) {
	if dir == "" {
		return openMemory(shared, log)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is in use by another devvault", dir), lock.Close())
	}
	backend, err := openFiles(dir, log)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &store{kind: "file", backend: backend, dir: dir, lock: lock}, nil
}

func openMemory(shared bool, log hclog.Logger) (*store, error) {
	open := inmem.NewInmem
	if shared {
		open = inmem.NewInmemHA
	}
	backend, err := open(nil, log)
	if err != nil {
		return nil, err
	}
	ha, _ := backend.(physical.HABackend)
	return &store{kind: "inmem", backend: backend, ha: ha}, nil
}

// close lets another process use the directory.
func (s *store) close() {
	if s.lock != nil {
		s.lock.Close()
	}
}

// load returns zero keys where none were ever kept.
func (s *store) load() (keys, error) {
	var k keys
	if s.dir == "" {
		return k, nil
	}
	raw, err := os.ReadFile(s.keysFile())
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(raw, &k); err != nil {
		return k, fmt.Errorf("read %s: %w", s.keysFile(), err)
	}
	return k, nil
}

func (s *store) save(k keys) error {
	if s.dir == "" {
		return nil
	}
	raw, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(s.dir, tempDir), s.keysFile(), raw)
}

func (s *store) keysFile() string { return filepath.Join(s.dir, "keys.json") }
