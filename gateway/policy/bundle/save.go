package bundle

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"portcullis/gateway/files"
)

// saved is a bundle as it is kept over a restart.
type saved struct {
	Place    string `json:"place"`
	Rules    []File `json:"rules"`
	Tests    []File `json:"tests"`
	DataFile File   `json:"data_file"`
	Sequence int64  `json:"sequence"`
}

// Save writes a bundle to a file, whole or not at all.
func Save(path string, b *Bundle) error {
	raw, err := json.Marshal(saved{b.Place, b.Rules, b.Tests, b.DataFile, b.Sequence})
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".policy-*")
	if err != nil {
		return fmt.Errorf("keep the policy: %w", err)
	}
	_, err = tmp.Write(raw)
	if serr := tmp.Sync(); err == nil {
		err = serr
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("keep the policy: %w", err)
	}
	return nil
}

// Load reads a bundle that Save wrote.
func Load(path string) (*Bundle, error) {
	raw, err := files.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read the kept policy: %w", err)
	}
	var s saved
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("read the kept policy: %w", err)
	}
	b := &Bundle{Place: s.Place, Rules: s.Rules, Tests: s.Tests, DataFile: s.DataFile, Sequence: s.Sequence}
	return b, b.finish()
}
