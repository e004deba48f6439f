package audit

import (
	"encoding/json"
	"errors"
	"os"

	"portcullis/gateway/audit/tree"
	"portcullis/gateway/files"
)

// Beside is where a file that belongs to a file of evidence lies: its name with
// another extension, "key", "public", "checkpoint" or "tree".
func Beside(path, ext string) string {
	base, _ := splitName(path)
	return base + "." + ext
}

// KeyFile is the file of the key that signs checkpoints.
func (c Config) KeyFile() string {
	if c.SignKey != "" {
		return c.SignKey
	}
	return Beside(c.Path, "key")
}

// grown is a tree with the place of its last line. Its tiles are kept beside the file,
// so that a restart need not read all lines again, and nor need who proves a line.
type grown struct {
	tree.Edge
	Seq   uint64
	asks  uint64 // number of the last line that asks for a checkpoint, see Upkeep.Evidence
	taken int64  // size when its full tiles were taken last
}

// size is what the file NAME.tree says about the tiles beside it.
type size struct {
	Size int64  `json:"size"`
	Seq  uint64 `json:"seq"`
}

// tilesOf is the folder of the tiles of a file.
func tilesOf(path string) tree.Tiles { return tree.Tiles(Beside(path, "tiles")) }

// keptTree is the tree whose tiles lie beside a file, the empty one when they are not
// whole.
func keptTree(path string) (g grown) {
	raw, err := files.Read(Beside(path, "tree"))
	var kept size
	if err != nil || json.Unmarshal(raw, &kept) != nil || kept.Size <= 0 {
		return g
	}
	edge, err := tree.EdgeOf(kept.Size, tilesOf(path).Read)
	if err != nil {
		return g
	}
	return grown{Edge: edge, Seq: kept.Seq, taken: edge.Size}
}

// grow adds a line to the tree. One that does not ask for a checkpoint is signed with the
// next one that does.
func (c *chain) grow(k link, asks bool) {
	if !c.cfg.Sign || c.grown.Seq >= k.seq {
		return
	}
	c.grown.Add(k.sum)
	c.grown.Seq = k.seq
	if asks {
		c.grown.asks = k.seq
	}
}

// catchUp brings the tree to the last line of the file that has been opened.
func (c *chain) catchUp(path string) error {
	if !c.cfg.Sign || c.grown.Seq >= c.whole.seq {
		return nil
	}
	return linesBehind(path, c.grown.Seq, func(k link) error {
		c.grow(k, true)
		return nil
	})
}

// linesBehind passes on the lines behind a number, in the files of a path, oldest first.
func linesBehind(path string, seq uint64, each func(link) error) error {
	all, err := segmentsOf(path)
	if err != nil {
		return err
	}
	for i, s := range append(all, segment{name: path}) {
		if i+1 < len(all) && all[i+1].first <= seq+1 {
			continue // all of its lines are before
		}
		if err := eachLink(s.name, seq, each); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func eachLink(name string, behind uint64, each func(link) error) error {
	f, err := OpenSegment(name)
	if err != nil {
		return err
	}
	s := NewScanner(f)
	for err == nil && s.Scan() {
		if h, ok := parseHead(s.Bytes()); ok && s.Ended() && h.Seq > behind {
			err = each(link{h.Seq, s.Sum()})
		}
	}
	return errors.Join(err, s.Err(), f.Close())
}
