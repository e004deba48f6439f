package tree

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// TileHeight is the height of tiles: each has up to 256 hashes (C2SP tlog-tiles).
const TileHeight = 8

const tileWidth = 1 << TileHeight

// Edge is a tree of which only the tiles on the right edge are kept: what is needed to
// append, to know the root, and to write each tile once it is full. The zero value is
// the empty tree.
type Edge struct {
	Size int64

	levels [][]tlog.Hash // of each level of tiles, the hashes of the last tile, which is not full
	full   []TileFile    // tiles that have become full and have not been taken
	lost   bool          // too many were not taken
}

// TileFile is a tile as it is stored.
type TileFile struct {
	Tile tlog.Tile
	Data []byte
}

// maxUntaken bounds the full tiles that wait to be taken, 8 KiB each.
const maxUntaken = 128

// Add appends the line with a hash.
func (e *Edge) Add(line [sha256.Size]byte) {
	e.Size++
	h := Leaf(line)
	for level := 0; ; level++ {
		if level == len(e.levels) {
			e.levels = append(e.levels, make([]tlog.Hash, 0, tileWidth))
		}
		e.levels[level] = append(e.levels[level], h)
		if len(e.levels[level]) < tileWidth {
			return
		}
		e.keepFull(level)
		h = perfect(e.levels[level])
		e.levels[level] = e.levels[level][:0]
	}
}

// keepFull keeps the tile of a level that has just become full.
func (e *Edge) keepFull(level int) {
	if len(e.full) == maxUntaken {
		e.lost = true
		return
	}
	e.full = append(e.full, e.tile(level))
}

// tile is the last tile of a level.
func (e *Edge) tile(level int) TileFile {
	hashes := e.levels[level]
	n := (e.Size>>(TileHeight*level) - 1) / tileWidth
	return TileFile{tlog.Tile{H: TileHeight, L: level, N: n, W: len(hashes)}, join(hashes)}
}

func join(hashes []tlog.Hash) []byte {
	data := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		data = append(data, h[:]...)
	}
	return data
}

// perfect is the root of a tree with a power of two leaves.
func perfect(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(perfect(hashes[:half]), perfect(hashes[half:]))
}

// Root is the hash of the whole tree.
func (e *Edge) Root() tlog.Hash {
	if e.Size == 0 {
		return sha256.Sum256(nil)
	}
	var roots []tlog.Hash // of the full subtrees, largest first
	for _, hashes := range slices.Backward(e.levels) {
		for width := tileWidth / 2; width > 0; width /= 2 {
			if len(hashes)&width != 0 {
				roots = append(roots, perfect(hashes[:width]))
				hashes = hashes[width:]
			}
		}
	}
	root := roots[len(roots)-1]
	for _, left := range slices.Backward(roots[:len(roots)-1]) {
		root = tlog.NodeHash(left, root)
	}
	return root
}

// Take returns a copy of the tree, with the tiles that have become full since the last
// one was taken. complete is false when some of these were dropped.
func (e *Edge) Take() (copied Edge, full []TileFile, complete bool) {
	full, complete = e.full, !e.lost
	e.full, e.lost = nil, false
	copied = Edge{Size: e.Size}
	for _, hashes := range e.levels {
		copied.levels = append(copied.levels, slices.Clone(hashes))
	}
	return copied, full, complete
}

// Partial are the tiles on the edge.
func (e *Edge) Partial() (tiles []TileFile) {
	for level, hashes := range e.levels {
		if len(hashes) > 0 {
			tiles = append(tiles, e.tile(level))
		}
	}
	return tiles
}

var errTiles = errors.New("the tiles do not belong together")

// EdgeOf is the tree of a size whose partial tiles a function reads.
func EdgeOf(size int64, read func(tlog.Tile) ([]byte, error)) (Edge, error) {
	e := Edge{Size: size}
	for level := 0; size>>(TileHeight*level) > 0; level++ {
		n := size >> (TileHeight * level)
		hashes := make([]tlog.Hash, 0, tileWidth)
		if w := int(n % tileWidth); w > 0 {
			data, err := read(tlog.Tile{H: TileHeight, L: level, N: n / tileWidth, W: w})
			if err != nil {
				return Edge{}, err
			}
			if len(data) != w*tlog.HashSize {
				return Edge{}, fmt.Errorf("a tile has %d bytes: %w", len(data), errTiles)
			}
			for part := range slices.Chunk(data, tlog.HashSize) {
				hashes = append(hashes, tlog.Hash(part))
			}
		}
		e.levels = append(e.levels, hashes)
	}
	return e, nil
}
