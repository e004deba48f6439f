package tree_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"portcullis/gateway/audit/tree"
)

func sum(i int) [sha256.Size]byte { return sha256.Sum256(fmt.Append(nil, i)) }

// TestRootIsTheLibrarys: what is kept of a tree is enough for its root.
func TestRootIsTheLibrarys(t *testing.T) {
	var f tree.Frontier
	var full tree.Full
	for n := range 200 {
		want, err := tlog.TreeHash(int64(n), &full)
		if err != nil || f.Root() != want {
			t.Fatalf("size %d: got %v, want %v, %v", n, f.Root(), want, err)
		}
		f.Add(sum(n))
		if err := full.Add(sum(n)); err != nil {
			t.Fatal(err)
		}
	}
}

// loadKey loads a key, or makes one, and returns its public half as well.
func loadKey(t *testing.T, name string) (tree.Signer, string) {
	t.Helper()
	signer, err := tree.LoadKey(name)
	if err != nil {
		t.Fatal(err)
	}
	public, err := tree.PublicOf(name)
	if err != nil {
		t.Fatal(err)
	}
	return signer, public
}

func TestProofs(t *testing.T) {
	signer, public := loadKey(t, filepath.Join(t.TempDir(), "audit.key"))
	v, err := tree.Public([]byte(public + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	var full tree.Full
	line := func(i int) string { return fmt.Sprintf(`{"seq":%d}`, i+1) }
	for i := range 100 {
		if err := full.Add(sha256.Sum256([]byte(line(i)))); err != nil {
			t.Fatal(err)
		}
	}
	note, _, err := tree.Checkpoint{Size: 100, Root: full.Root(), Seq: 100, Last: sha256.Sum256([]byte(line(99))), Time: time.Unix(1, 0)}.Sign(t.Context(), signer)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		path, err := full.Prove(100, int64(i))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(tree.Proof{Lines: []tree.Proved{{Line: line(i), Leaf: int64(i), Path: path}}, Checkpoint: string(note)})
		if err != nil {
			t.Fatal(err)
		}
		var p tree.Proof
		if err := json.Unmarshal(raw, &p); err != nil {
			t.Fatal(err)
		}
		if c, err := p.Check(v); err != nil || c.Seq != 100 || c.Size != 100 || c.Time != time.Unix(1, 0).UTC() {
			t.Fatalf("line %d: %+v, %v", i, c, err)
		}
		p.Lines[0].Line += " "
		if _, err := p.Check(v); err == nil {
			t.Fatalf("line %d: another line is proved", i)
		}
	}
	p := tree.Proof{Lines: []tree.Proved{{Line: line(0)}}, Checkpoint: strings.Replace(string(note), "\n100\n", "\n101\n", 1)}
	if _, err := p.Check(v); err == nil {
		t.Error("a changed checkpoint is accepted")
	}
}

// TestPublicKeys: a key in PEM is as good as one of a note; the wrong one is refused.
func TestPublicKeys(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.key")
	signer, public := loadKey(t, name)
	if _, again := loadKey(t, name); again != public {
		t.Error("the key is another one")
	}
	note, _, err := tree.Checkpoint{}.Sign(t.Context(), signer)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(other)
	if err != nil {
		t.Fatal(err)
	}
	v, err := tree.Public(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.OpenCheckpoint(note, v); err == nil {
		t.Error("somebody else's key verifies")
	}
	if _, err := tree.Public([]byte("nonsense")); err == nil {
		t.Error("nonsense is a key")
	}
}

// TestPublicKeysOfVault: what Vault answers about a transit key has all its versions, and
// one of another type is refused.
func TestPublicKeysOfVault(t *testing.T) {
	signer, public := loadKey(t, filepath.Join(t.TempDir(), "audit.key"))
	note, _, err := tree.Checkpoint{}.Sign(t.Context(), signer)
	if err != nil {
		t.Fatal(err)
	}
	_, raw, _ := strings.Cut(public[strings.IndexByte(public, '+')+1:], "+")
	key, err := base64.StdEncoding.DecodeString(raw)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(kind string, keys ...[]byte) []byte {
		versions := map[string]any{}
		for i, k := range keys {
			versions[fmt.Sprint(i+1)] = map[string]any{"public_key": k, "creation_time": "2026-01-01T00:00:00Z"}
		}
		text, err := json.Marshal(map[string]any{"request_id": "r", "data": map[string]any{"type": kind, "keys": versions}})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	v, err := tree.Public(answer("ed25519", key[1:], other)) // its first byte says ed25519
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.OpenCheckpoint(note, v); err != nil {
		t.Error(err)
	}
	for name, text := range map[string][]byte{"another type": answer("aes256-gcm96", key[1:]), "no key": answer("ed25519"), "half a key": answer("ed25519", key[2:]), "other JSON": []byte(`{"a":1}`)} {
		if _, err := tree.Public(text); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// TestAKeyIsThereAsAWhole: a process that was killed while it made the key leaves none, or
// an empty file, which is made anew; a key that is there is never replaced.
func TestAKeyIsThereAsAWhole(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.key")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, public := loadKey(t, name)
	if _, again := loadKey(t, name); again != public {
		t.Error("the key is another one")
	}
	st, err := os.Stat(name)
	files, gerr := filepath.Glob(name + "*")
	if err != nil || gerr != nil || st.Mode().Perm() != 0o600 || len(files) != 1 {
		t.Errorf("got %v and %q, %v", st.Mode(), files, err)
	}
	if err := os.WriteFile(name, []byte("half of a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.LoadKey(name); err == nil {
		t.Error("what is no key was replaced")
	}
}
