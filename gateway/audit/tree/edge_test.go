package tree_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"portcullis/gateway/audit/tree"
)

func write(name string, data []byte) error { return os.WriteFile(name, data, 0o600) }

// TestTilesAreTheLibrarys: what is kept of a tree is enough for its root and for every
// tile, at each step and after each restart, and the library proves lines from them.
func TestTilesAreTheLibrarys(t *testing.T) {
	const n = 256*256 + 300
	dir := tree.Tiles(t.TempDir())
	var e tree.Edge
	var full tree.Full
	for i := range n {
		if i%997 == 0 { // a restart
			var err error
			if err = dir.Write(e.Partial(), write); err != nil {
				t.Fatal(err)
			}
			_, tiles, complete := e.Take()
			if err := dir.Write(tiles, write); err != nil || !complete {
				t.Fatal(err)
			}
			if e, err = tree.EdgeOf(int64(i), dir.Read); err != nil {
				t.Fatalf("size %d: %v", i, err)
			}
			if want, err := tlog.TreeHash(int64(i), &full); i > 0 && (err != nil || e.Root() != want) {
				t.Fatalf("size %d: another root: %v", i, err)
			}
		}
		e.Add(sum(i))
		if err := full.Add(sum(i)); err != nil {
			t.Fatal(err)
		}
	}
	_, tiles, _ := e.Take()
	if err := dir.Write(append(tiles, e.Partial()...), write); err != nil {
		t.Fatal(err)
	}
	c := tree.Checkpoint{Size: n, Root: e.Root()}
	for _, leaf := range []int64{0, 1, 255, 256, 65_535, 65_536, n - 1} {
		path, err := dir.Prove(c, leaf)
		if err != nil {
			t.Fatalf("leaf %d: %v", leaf, err)
		}
		if err := tlog.CheckRecord(path, n, c.Root, leaf, tree.Leaf(sum(int(leaf)))); err != nil {
			t.Errorf("leaf %d: %v", leaf, err)
		}
	}
}

// TestTilesThatAreNotWhole: a tree is not made up from tiles that do not belong to it.
func TestTilesThatAreNotWhole(t *testing.T) {
	dir := tree.Tiles(t.TempDir())
	var e tree.Edge
	for i := range 300 {
		e.Add(sum(i))
	}
	_, tiles, _ := e.Take()
	if err := dir.Write(append(tiles, e.Partial()...), write); err != nil {
		t.Fatal(err)
	}
	if smaller, err := tree.EdgeOf(290, dir.Read); err != nil || smaller.Size != 290 {
		t.Errorf("the beginning of a tile is a tile as well: %v", err)
	}
	if _, err := tree.EdgeOf(310, dir.Read); err == nil {
		t.Error("a tree is larger than its tiles")
	}
	c := tree.Checkpoint{Size: 300, Root: e.Root()}
	name := filepath.Join(string(dir), "tile", "8", "0", "000")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw[3] ^= 1
	if err := write(name, raw); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Prove(c, 7); err == nil {
		t.Error("a changed tile proves something")
	}
}

// TestTidyKeepsTheNewest: files of a tile while it was smaller go, what is needed stays.
func TestTidyKeepsTheNewest(t *testing.T) {
	dir := tree.Tiles(t.TempDir())
	var e tree.Edge
	for i := range 520 {
		e.Add(sum(i))
		_, tiles, _ := e.Take()
		tiles = append(tiles, e.Partial()...)
		if err := dir.Write(tiles, write); err != nil {
			t.Fatal(err)
		}
		dir.Tidy(tiles)
	}
	files := 0
	err := filepath.WalkDir(string(dir), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files != 4 { // two full tiles, and the edge of two levels
		t.Errorf("got %d files, %v", files, err)
	}
	if _, err := tree.EdgeOf(520, dir.Read); err != nil {
		t.Error(err)
	}
	if got := (&tree.Edge{}).Root(); got != tlog.Hash(sha256.Sum256(nil)) {
		t.Errorf("the empty tree: %v", got)
	}
}
