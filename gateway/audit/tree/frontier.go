// Package tree is the append-only Merkle tree over evidence (RFC 6962, as
// golang.org/x/mod/sumdb/tlog has it) and its signed checkpoints. Leaf n is the
// SHA-256 of the chain's n-th line, counted from 0.
package tree

import (
	"crypto/sha256"

	"golang.org/x/mod/sumdb/tlog"
)

// Frontier is a tree of which only the roots of its full subtrees are kept: what is
// needed to append and to know the root. The zero value is the empty tree.
type Frontier struct {
	Size   int64       `json:"size"`
	Hashes []tlog.Hash `json:"hashes"` // largest subtree first
}

// Leaf is the hash of a leaf for the hash of its line.
func Leaf(line [sha256.Size]byte) tlog.Hash { return tlog.RecordHash(line[:]) }

// Add appends the line with a hash.
func (f *Frontier) Add(line [sha256.Size]byte) {
	f.Hashes = append(f.Hashes, Leaf(line))
	for n := f.Size; n&1 == 1; n >>= 1 { // two subtrees of one size become one
		last := len(f.Hashes) - 1
		f.Hashes[last-1] = tlog.NodeHash(f.Hashes[last-1], f.Hashes[last])
		f.Hashes = f.Hashes[:last]
	}
	f.Size++
}

// Root is the hash of the whole tree.
func (f *Frontier) Root() tlog.Hash {
	if f.Size == 0 {
		return sha256.Sum256(nil)
	}
	last := len(f.Hashes) - 1
	root := f.Hashes[last]
	for i := last - 1; i >= 0; i-- {
		root = tlog.NodeHash(f.Hashes[i], root)
	}
	return root
}
