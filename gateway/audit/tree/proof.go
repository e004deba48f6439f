package tree

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows that lines are in the tree that a checkpoint signs.
type Proof struct {
	Checkpoint string
	Lines      []Proved
}

// Proved is a line with its path to the root.
type Proved struct {
	Line string
	Leaf int64 // counts from 0
	Path []tlog.Hash
}

// Check verifies the proof with public keys alone, of which one has signed the checkpoint.
func (p Proof) Check(keys note.Verifiers) (Checkpoint, error) {
	c, err := OpenCheckpoint([]byte(p.Checkpoint), keys)
	if err != nil {
		return c, err
	}
	if len(p.Lines) == 0 {
		return c, errors.New("the proof names no line")
	}
	for _, l := range p.Lines {
		if err := tlog.CheckRecord(l.Path, c.Size, c.Root, l.Leaf, Leaf(sha256.Sum256([]byte(l.Line)))); err != nil {
			return c, fmt.Errorf("a line is not in the tree that the checkpoint signs: %w", err)
		}
	}
	return c, nil
}

// Full is a tree of which every hash is kept, 64 bytes a line.
type Full struct {
	Frontier
	stored []tlog.Hash
}

var errAbsent = errors.New("the tree is too small")

// ReadHashes implements tlog.HashReader.
func (t *Full) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		if n < 0 || n >= int64(len(t.stored)) {
			return nil, errAbsent
		}
		out[i] = t.stored[n]
	}
	return out, nil
}

// Add appends the line with a hash.
func (t *Full) Add(line [sha256.Size]byte) error {
	hashes, err := tlog.StoredHashesForRecordHash(t.Size, Leaf(line), t)
	if err != nil {
		return err
	}
	t.stored = append(t.stored, hashes...)
	t.Frontier.Add(line)
	return nil
}

// Prove returns the path from a leaf to the root of the first size leaves.
func (t *Full) Prove(size, leaf int64) ([]tlog.Hash, error) {
	if size > t.Size || leaf >= size {
		return nil, errAbsent
	}
	return tlog.ProveRecord(size, leaf, t)
}
