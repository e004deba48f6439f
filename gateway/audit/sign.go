package audit

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"

	"portcullis/gateway/audit/tree"
)

// A checkpoint is signed a second after a line at the latest, or after so many lines.
const (
	checkpointEvery = time.Second
	checkpointLines = 1000
)

// Beside is where a file that belongs to a file of evidence lies: its name with
// another extension, "key", "checkpoint" or "tree".
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
	Seq uint64
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
	raw, err := os.ReadFile(Beside(path, "tree"))
	var kept size
	if err != nil || json.Unmarshal(raw, &kept) != nil || kept.Size <= 0 {
		return g
	}
	edge, err := tree.EdgeOf(kept.Size, tilesOf(path).Read)
	if err != nil {
		return g
	}
	return grown{edge, kept.Seq}
}

// grow adds a line to the tree.
func (c *chain) grow(k link) {
	if c.cfg.Sign && c.grown.Seq < k.seq {
		c.grown.Add(k.sum)
		c.grown.Seq = k.seq
	}
}

// catchUp brings the tree to the last line of the file that has been opened.
func (c *chain) catchUp(path string) error {
	if !c.cfg.Sign || c.grown.Seq >= c.whole.seq {
		return nil
	}
	all, err := segmentsOf(path)
	if err != nil {
		return err
	}
	for i, s := range append(all, segment{name: path, first: c.first}) {
		if i+1 < len(all) && all[i+1].first <= c.grown.Seq+1 {
			continue // the tree has all of its lines
		}
		if err := c.addLines(s.name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (c *chain) addLines(name string) error {
	f, err := OpenSegment(name)
	if err != nil {
		return err
	}
	s := NewScanner(f)
	for s.Scan() {
		if h, ok := parseHead(s.Bytes()); ok && s.Ended() && h.Seq > c.grown.Seq {
			c.grow(link{h.Seq, s.Sum()})
		}
	}
	return errors.Join(s.Err(), f.Close())
}

// signer signs what the chain has become.
type signer struct {
	key    note.Signer
	signed uint64 // number of the last line that is signed
	at     time.Time

	unwritten []tree.TileFile // full tiles that could not be written yet
}

// checkpoint signs the tree when it is time to, or at once.
func (l *Log) checkpoint(now time.Time, atOnce bool) error {
	if !l.cfg.Sign {
		return nil
	}
	l.signing.Lock()
	defer l.signing.Unlock()
	if l.signer.key == nil {
		key, _, err := tree.LoadKey(l.cfg.KeyFile())
		if err != nil {
			return err
		}
		l.signer.key = key
	}
	n, due := l.treeNow(func(seq uint64) bool {
		return seq != l.signer.signed && (atOnce || now.Sub(l.signer.at) >= checkpointEvery || seq-l.signer.signed >= checkpointLines)
	})
	if !due {
		return nil
	}
	l.signer.unwritten = append(l.signer.unwritten, n.full...)
	c := tree.Checkpoint{Size: n.Size, Root: n.Root(), Seq: n.Seq, Last: n.last, Time: now}
	text, err := c.Sign(l.signer.key)
	if err == nil {
		err = l.keep(n, text)
	}
	if err != nil {
		return err
	}
	l.signer.signed, l.signer.at = n.Seq, now
	if l.cfg.Signed != nil {
		l.cfg.Signed(text)
	}
	return nil
}

// keep writes the tiles, then what refers to them.
func (l *Log) keep(n now, text []byte) error {
	tiles, partial := tilesOf(n.path), n.Partial()
	if err := tiles.Write(append(l.signer.unwritten, partial...), replace); err != nil {
		l.signer.unwritten = l.signer.unwritten[max(0, len(l.signer.unwritten)-maxUnwritten):]
		return err
	}
	kept, err := json.Marshal(size{n.Size, n.Seq})
	if err != nil {
		return err
	}
	if err := errors.Join(replace(Beside(n.path, "tree"), kept), replace(Beside(n.path, "checkpoint"), text)); err != nil {
		return err
	}
	tiles.Tidy(append(l.signer.unwritten, partial...))
	l.signer.unwritten = nil
	return nil
}

// maxUnwritten bounds the full tiles that wait for a disk that takes none, 8 KiB each.
// Without them a proof reads the lines.
const maxUnwritten = 1024

// now is a copy of the tree with the file that it is about.
type now struct {
	grown
	path string
	last [sha256.Size]byte // hash of the last line
	full []tree.TileFile
}

// treeNow copies the tree, when it is due.
func (l *Log) treeNow(due func(seq uint64) bool) (n now, ok bool) {
	l.turn.Lock()
	defer l.turn.Unlock()
	g := &l.chain.grown
	if g.Size == 0 || !due(g.Seq) {
		return n, false
	}
	n = now{path: l.chain.path, last: l.chain.whole.sum}
	n.Seq = g.Seq
	n.Edge, n.full, _ = g.Take() // without one of them a proof reads the lines
	return n, true
}

// replace writes a file that is small and can be made again: it appears as a whole,
// and nobody waits for the disk.
func replace(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error that led here is reported
	}
	return err
}
