package tree

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"portcullis/gateway/files"
)

// Tiles is a folder of tiles (C2SP tlog-tiles): any part of the tree can be read from
// it, and a proof made, without a line of evidence. It implements tlog.TileReader.
type Tiles string

// Height implements tlog.TileReader.
func (Tiles) Height() int { return TileHeight }

// SaveTiles implements tlog.TileReader: the tiles are there already.
func (Tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles implements tlog.TileReader.
func (t Tiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, tile := range tiles {
		var err error
		if out[i], err = t.Read(tile); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t Tiles) name(tile tlog.Tile) string {
	return filepath.Join(string(t), filepath.FromSlash(tile.Path()))
}

// Read reads one tile: it may be the beginning of one that has grown since.
func (t Tiles) Read(tile tlog.Tile) ([]byte, error) {
	data, err := files.Read(t.name(tile))
	if !errors.Is(err, os.ErrNotExist) {
		return data, err
	}
	whole := tile
	whole.W = tileWidth
	for _, name := range append([]string{t.name(whole)}, t.partials(whole)...) {
		data, gerr := files.Read(name)
		if want := tile.W * tlog.HashSize; gerr == nil && len(data) >= want {
			return data[:want], nil
		}
	}
	return nil, err
}

// partials are the files of a tile while it was not full.
func (t Tiles) partials(whole tlog.Tile) []string {
	names, _ := filepath.Glob(t.name(whole) + ".p/*") // the pattern is good
	return names
}

// Write writes tiles. replace writes one file as a whole.
func (t Tiles) Write(tiles []TileFile, replace func(name string, data []byte) error) error {
	for _, f := range tiles {
		name := t.name(f.Tile)
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			return err
		}
		if err := replace(name, f.Data); err != nil {
			return err
		}
	}
	return nil
}

// Tidy removes what tiles looked like before: the partial forms of these that are
// smaller, and all of those of full ones.
func (t Tiles) Tidy(tiles []TileFile) {
	for _, f := range tiles {
		whole := f.Tile
		whole.W = tileWidth
		for _, name := range t.partials(whole) {
			if w, err := strconv.Atoi(filepath.Base(name)); err == nil && w < f.Tile.W {
				_ = os.Remove(name) // a file too many does no harm
			}
		}
		if f.Tile.W == tileWidth {
			_ = os.Remove(t.name(whole) + ".p") // likewise
		}
	}
}

// Prove returns the path from a leaf to the root of the tree that a checkpoint signs.
func (t Tiles) Prove(c Checkpoint, leaf int64) ([]tlog.Hash, error) {
	return tlog.ProveRecord(c.Size, leaf, tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, t))
}
