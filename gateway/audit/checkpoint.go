package audit

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/audit/tree"
	"portcullis/gateway/files"
	"portcullis/gateway/retry"
)

// A checkpoint is signed a second after a line at the latest, or after so many lines.
// Where it cannot be signed it is tried again, after the shorter wait first.
const (
	checkpointEvery = time.Second
	checkpointLines = 1000
	unsignedWait    = time.Second
	unsignedLongest = 10 * time.Second
)

// signer signs what the chain has become.
type signer struct {
	sign   tree.Signer
	signed uint64 // number of the last line that is signed
	at     time.Time
	failed int       // attempts since
	again  time.Time // when the next attempt is due, after one that failed

	tiled *grown // the tree whose full tiles are all written; nil before the first attempt

	mu    sync.Mutex // guards since
	since time.Time  // when signing began to fail; zero while it works
}

// noted notes how an attempt ended.
func (s *signer) noted(err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.failed, s.since = 0, time.Time{}
		return
	}
	unsigned.Inc()
	s.failed++
	s.again = now.Add(retry.Backoff(s.failed, unsignedWait, unsignedLongest))
	if s.since.IsZero() {
		s.since = now
	}
}

// UnsignedSince is when checkpoints began to fail, the zero time while they are signed.
func (l *Log) UnsignedSince() time.Time {
	l.signer.mu.Lock()
	defer l.signer.mu.Unlock()
	return l.signer.since
}

// keepSigned signs what is due, until ctx ends.
func (l *Log) keepSigned(ctx context.Context) {
	var told time.Time
	for now := time.Now(); ; now = time.Now() {
		if err := l.checkpoint(ctx, now, false); err != nil && ctx.Err() == nil && l.cfg.Unsigned != nil && now.Sub(told) > time.Minute {
			told = now
			l.cfg.Unsigned(err)
		}
		if !retry.Sleep(ctx, windowLook) {
			return
		}
	}
}

// checkpoint signs the tree when it is time to, or at once. Nobody else waits for it.
func (l *Log) checkpoint(ctx context.Context, now time.Time, atOnce bool) error {
	if !l.cfg.Sign {
		return nil
	}
	l.signing.Lock()
	defer l.signing.Unlock()
	s := &l.signer
	if !atOnce && s.failed > 0 && now.Before(s.again) {
		return nil
	}
	n, due := l.treeNow(func(g *grown) bool {
		return g.asks > s.signed && (atOnce || now.Sub(s.at) >= checkpointEvery || g.Seq-s.signed >= checkpointLines)
	})
	if !due {
		return nil
	}
	text, err := l.signTree(ctx, n, now)
	if ctx.Err() == nil || err == nil { // whoever leaves has not failed
		s.noted(err, now)
	}
	if err != nil {
		return err
	}
	s.signed, s.at = n.Seq, now
	if l.cfg.Signed != nil {
		l.cfg.Signed(text)
	}
	return nil
}

// signTree writes the tiles that are full, which hold whatever is signed, then has the
// tree signed, and then writes what the checkpoint needs.
func (l *Log) signTree(ctx context.Context, n now, at time.Time) ([]byte, error) {
	s := &l.signer
	if err := l.writeTiles(&n); err != nil {
		return nil, err
	}
	if err := l.haveKey(); err != nil {
		return nil, err
	}
	c := tree.Checkpoint{Size: n.Size, Root: n.Root(), Seq: n.Seq, Last: n.last, Time: at}
	text, public, err := c.Sign(ctx, s.sign)
	if err != nil {
		return nil, err
	}
	return text, errors.Join(publish(n.path, public), n.keep(text))
}

// haveKey takes what signs: what is configured, or the key in the file, which it makes.
// The lock of signing is held.
func (l *Log) haveKey() (err error) {
	switch s := &l.signer; {
	case !l.cfg.Sign, s.sign != nil:
	case l.cfg.Signer != nil:
		s.sign = l.cfg.Signer
	default:
		s.sign, err = tree.LoadKey(l.cfg.KeyFile())
	}
	return err
}

// publish puts the public half of the key that signs into NAME.public, behind those of the
// keys that have signed before.
func publish(path, key string) error {
	name := Beside(path, "public")
	raw, err := files.Read(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	keys := strings.Fields(string(raw))
	if slices.Contains(keys, key) {
		return nil
	}
	return replace(name, []byte(strings.Join(append(keys, key), "\n")+"\n"))
}

// keep writes the tiles on the edge, then what refers to them.
func (n *now) keep(text []byte) error {
	tiles, partial := tilesOf(n.path), n.Partial()
	if err := tiles.Write(partial, replace); err != nil {
		return err
	}
	kept, err := json.Marshal(size{n.Size, n.Seq})
	if err != nil {
		return err
	}
	if err := errors.Join(replace(Beside(n.path, "tree"), kept), replace(Beside(n.path, "checkpoint"), text)); err != nil {
		return err
	}
	tiles.Tidy(partial)
	return nil
}

// now is a copy of the tree with the file that it is about.
type now struct {
	grown
	path string
	last [sha256.Size]byte // hash of the last line

	full     []tree.TileFile // that have become full since the tree had the size from
	from     int64
	complete bool // they are all of them
}

// treeNow copies the tree, when it is due.
func (l *Log) treeNow(due func(*grown) bool) (n now, ok bool) {
	l.turn.Lock()
	defer l.turn.Unlock()
	g := &l.chain.grown
	if g.Size == 0 || !due(g) {
		return n, false
	}
	n = now{path: l.chain.path, last: l.chain.whole.sum}
	n.Seq, n.from = g.Seq, g.taken
	n.Edge, n.full, n.complete = g.Take()
	g.taken = g.Size
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
