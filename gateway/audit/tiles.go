package audit

import (
	"errors"
	"slices"

	"portcullis/gateway/audit/tree"
)

// remakeLines is after how many lines the tiles are written that are made again: 64 of
// 8 KiB each.
const remakeLines = 64 << tree.TileHeight

var (
	errPast    = errors.New("the rest is not in the tree yet")
	errGone    = errors.New("lines of the tree are not in the files any more: a proof of one of them needs a copy of all files")
	errRotated = errors.New("the files of evidence changed while tiles of the tree were made from them")
)

// writeTiles writes the tiles that have become full. Those that are not at hand, because
// they were too many or no disk took them, are made again from the lines, so that none has
// to wait in memory. The lock of signing is held.
func (l *Log) writeTiles(n *now) error {
	s := &l.signer
	if s.tiled == nil {
		kept := keptTree(n.path) // which nobody else writes
		s.tiled = &kept
	}
	if !n.complete || n.from != s.tiled.Size {
		err := s.remake(n)
		if errors.Is(err, errGone) {
			s.tiled = &n.grown
			if l.cfg.Untiled != nil {
				l.cfg.Untiled(err)
			}
			return nil
		}
		return err
	}
	if err := putTiles(n.path, n.full); err != nil {
		return err
	}
	s.tiled = &n.grown
	return nil
}

func putTiles(path string, full []tree.TileFile) error {
	if err := tilesOf(path).Write(full, replace); err != nil {
		return err
	}
	tilesOf(path).Tidy(full)
	return nil
}

// remake adds the lines to the tree whose tiles are written until it is the one that is to
// be signed. What is written stays when it fails, and is gone on from the next time.
func (s *signer) remake(n *now) error {
	before, err := segmentsOf(n.path)
	if err != nil {
		return err
	}
	work := grown{Seq: s.tiled.Seq}
	work.Edge, _, _ = s.tiled.Take() // a copy: no tile of it is left
	write := func() error {
		done, full, _ := work.Take()
		if err := putTiles(n.path, full); err != nil {
			return err
		}
		s.tiled = &grown{Edge: done, Seq: work.Seq}
		return nil
	}
	err = linesBehind(n.path, s.tiled.Seq, func(k link) error {
		switch {
		case k.seq > n.Seq:
			return errPast
		case k.seq != work.Seq+1:
			return errGone
		}
		work.Add(k.sum)
		if work.Seq = k.seq; work.Size%remakeLines == 0 {
			return write()
		}
		return nil
	})
	if err == nil || errors.Is(err, errPast) {
		err = write()
	}
	if err == nil && (s.tiled.Size != n.Size || s.tiled.Root() != n.Root()) {
		err = errGone
	}
	if errors.Is(err, errGone) && !sameFiles(before, n.path) {
		return errRotated
	}
	return err
}

// sameFiles tells whether the full files of a path are still those.
func sameFiles(before []segment, path string) bool {
	after, err := segmentsOf(path)
	if err != nil || len(after) != len(before) {
		return false
	}
	return slices.EqualFunc(before, after, func(a, b segment) bool { return a.name == b.name })
}
