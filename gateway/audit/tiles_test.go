package audit_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"portcullis/gateway/audit"
	"portcullis/gateway/audit/tree"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// fill writes so many short lines.
func fill(t testing.TB, l *audit.Log, lines int) {
	t.Helper()
	r := &op.Record{Request: &op.Request{ID: "r", Op: "kv.read", Transport: op.REST, Caller: &call.Caller{Subject: "bot"}}}
	for range lines {
		if err := l.Outcome(r); err != nil {
			t.Fatal(err)
		}
	}
}

// untiled are the leaves, one in 256, whose proof cannot be made from the tiles beside a file.
func untiled(t testing.TB, path string) (size int64, missing []int64) {
	t.Helper()
	text, err := os.ReadFile(audit.Beside(path, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := tree.ParseCheckpoint(text)
	if err != nil {
		t.Fatal(err)
	}
	tiles := tree.Tiles(audit.Beside(path, "tiles"))
	for leaf := int64(0); leaf < c.Size; leaf += 1 << tree.TileHeight {
		if _, err := tiles.Prove(c, leaf); err != nil {
			missing = append(missing, leaf)
			continue
		}
		if _, err := tlog.ProveTree(c.Size, leaf+1, tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, tiles)); err != nil {
			missing = append(missing, leaf)
		}
	}
	return c.Size, missing
}

// TestTilesThatWereTooManyAreMadeAgain: of more lines than tiles wait for in memory, written
// without a checkpoint in between, each can be proved from the tiles once there is one, over
// full files as well, and after a restart without the tree.
func TestTilesThatWereTooManyAreMadeAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	c := audit.Config{Path: path, Sign: true, Segments: audit.Segments{MaxBytes: 3 << 20}}
	const lines = 34_000 // 32,768 fill as many tiles as wait
	l := audit.Open(c)
	fill(t, l, lines)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if size, missing := untiled(t, path); size < lines || len(missing) > 0 {
		t.Errorf("of %d lines, those at %v cannot be proved from the tiles", size, missing)
	}
	if err := errors.Join(os.RemoveAll(audit.Beside(path, "tiles")), os.Remove(audit.Beside(path, "tree"))); err != nil {
		t.Fatal(err)
	}
	l = audit.Open(c)
	fill(t, l, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if size, missing := untiled(t, path); size < lines+1 || len(missing) > 0 {
		t.Errorf("after a restart, of %d lines, those at %v cannot be proved from the tiles", size, missing)
	}
}

// TestTilesThatNoDiskTookAreMadeAgain: as long as they cannot be written there is no
// checkpoint, and the log says since when; afterwards every line can be proved.
func TestTilesThatNoDiskTookAreMadeAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := audit.Open(audit.Config{Path: path, Sign: true, Untiled: func(err error) { t.Error(err) }})
	fill(t, l, 300)
	if err := l.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	tiles := audit.Beside(path, "tiles")
	if err := errors.Join(os.Rename(tiles, tiles+".away"), os.WriteFile(tiles, nil, 0o600)); err != nil { // a folder that cannot be made
		t.Fatal(err)
	}
	for range 3 {
		fill(t, l, 300)
		if err := l.Checkpoint(t.Context()); err == nil || l.UnsignedSince().IsZero() {
			t.Fatal("a checkpoint is signed whose tiles are not written")
		}
	}
	if err := errors.Join(os.Remove(tiles), os.Rename(tiles+".away", tiles)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil || !l.UnsignedSince().IsZero() {
		t.Fatal(err)
	}
	if size, missing := untiled(t, path); size != 1200 || len(missing) > 0 {
		t.Errorf("of %d lines, those at %v cannot be proved from the tiles", size, missing)
	}
}

// TestLinesThatAreGoneLeaveNoTiles: where the lines of tiles that were not written were
// removed meanwhile, the log says so once, and goes on to sign.
func TestLinesThatAreGoneLeaveNoTiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	told := 0
	l := audit.Open(audit.Config{Path: path, Sign: true, Segments: audit.Segments{MaxBytes: 100 << 10, Keep: 1}, Untiled: func(error) { told++ }})
	tiles := audit.Beside(path, "tiles")
	if err := os.WriteFile(tiles, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 1000)
	if err := l.Checkpoint(t.Context()); err == nil {
		t.Fatal("a checkpoint is signed whose tiles are not written")
	}
	fill(t, l, 1000)
	if err := l.Close(); err == nil { // which waits until files that are too many are gone
		t.Fatal("the end signs without tiles")
	}
	if err := os.Remove(tiles); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		fill(t, l, 300)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if size, missing := untiled(t, path); told != 1 || size < 2000 || len(missing) == 0 || missing[len(missing)-1] > size-500 {
		t.Errorf("it was told %d times; of %d lines, those at %v cannot be proved from the tiles", told, size, missing)
	}
}

// BenchmarkCheckpoint is a checkpoint of a busy log: some 1,350 lines, a quarter of a second's.
func BenchmarkCheckpoint(b *testing.B) {
	for name, checkpoint := range map[string]bool{"lines": false, "checkpoint": true} {
		b.Run(name, func(b *testing.B) {
			l := audit.Open(audit.Config{Path: filepath.Join(b.TempDir(), "audit.jsonl"), Sign: true})
			b.ReportAllocs()
			for b.Loop() {
				fill(b, l, 1350)
				if checkpoint {
					if err := l.Checkpoint(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
