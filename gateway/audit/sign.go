package audit

import (
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

// grown is a tree with the place of its last line. It is what is kept beside the
// file, so that a restart need not read all lines again.
type grown struct {
	tree.Frontier
	Seq uint64 `json:"seq"`
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
	if !c.cfg.Sign || c.grown.Seq == c.whole.seq {
		return nil
	}
	if raw, err := os.ReadFile(Beside(path, "tree")); err == nil && c.grown.Size == 0 {
		var kept grown
		if json.Unmarshal(raw, &kept) == nil && kept.Seq <= c.whole.seq {
			c.grown = kept
		}
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
}

// checkpoint signs the tree when it is time to, or at once.
func (l *Log) checkpoint(now time.Time, atOnce bool) error {
	if !l.cfg.Sign {
		return nil
	}
	l.signing.Lock()
	defer l.signing.Unlock()
	path, g, whole := l.treeNow()
	if g.Size == 0 || g.Seq == l.signer.signed {
		return nil
	}
	if !atOnce && now.Sub(l.signer.at) < checkpointEvery && g.Seq-l.signer.signed < checkpointLines {
		return nil
	}
	if l.signer.key == nil {
		key, _, err := tree.LoadKey(l.cfg.KeyFile())
		if err != nil {
			return err
		}
		l.signer.key = key
	}
	text, err := tree.Checkpoint{Size: g.Size, Root: g.Root(), Seq: g.Seq, Last: whole.sum, Time: now}.Sign(l.signer.key)
	if err != nil {
		return err
	}
	kept, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if err := errors.Join(replace(Beside(path, "tree"), kept), replace(Beside(path, "checkpoint"), text)); err != nil {
		return err
	}
	l.signer.signed, l.signer.at = g.Seq, now
	return nil
}

// treeNow is a copy of the tree with the file that it is about.
func (l *Log) treeNow() (string, grown, link) {
	l.turn.Lock()
	defer l.turn.Unlock()
	g := l.chain.grown
	g.Hashes = append(g.Hashes[:0:0], g.Hashes...)
	return l.chain.path, g, l.chain.whole
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
