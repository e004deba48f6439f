package inspect_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/audit"
	"portcullis/gateway/audit/inspect"
)

// chain makes lines as the log writes them.
func chain(n int) [][]byte {
	var lines [][]byte
	prev := strings.Repeat("0", 64)
	for i := range n {
		line := fmt.Appendf(nil, `{"seq":%d,"prev":"%s","time":"2026-01-01T00:00:00Z","type":"intent","op":"kv.read","path":"a/%d"}`, i+1, prev, i)
		sum := sha256.Sum256(line)
		prev = hex.EncodeToString(sum[:])
		lines = append(lines, line)
	}
	return lines
}

func write(t testing.TB, lines [][]byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(name, append(bytes.Join(lines, []byte("\n")), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func verify(files ...string) (inspect.Verified, error) {
	var v inspect.Verifier
	for _, f := range files {
		if err := v.File(f); err != nil {
			return v.Verified, err
		}
	}
	return v.Verified, v.End()
}

var (
	editedLines = flag.Int("edited-lines", 300, "lines of the chain in TestEveryEditIsFound")
	edits       = flag.Int("edits", 1000, "edits in TestEveryEditIsFound")
)

// editor makes one random edit of a kind.
type editor struct{ *rand.Rand }

// kinds are all kinds of edits; each returns the changed lines and the first bad one.
func (r editor) kinds() map[string]func(l [][]byte) (_ [][]byte, bad int) {
	return map[string]func(l [][]byte) ([][]byte, int){
		"bit": func(l [][]byte) ([][]byte, int) {
			i := r.IntN(len(l) - 1) // nothing but a checkpoint knows the last line
			l[i] = bytes.Clone(l[i])
			l[i][r.IntN(len(l[i]))] ^= 1 << r.IntN(7)
			return l, i + 1
		},
		"line out": func(l [][]byte) ([][]byte, int) {
			i := r.IntN(len(l) - 1)
			return slices.Delete(l, i, i+1), i + 1
		},
		"line twice": func(l [][]byte) ([][]byte, int) {
			i := r.IntN(len(l))
			return slices.Insert(l, i, l[i]), i + 2
		},
		"swap": func(l [][]byte) ([][]byte, int) {
			i := r.IntN(len(l) - 1)
			l[i], l[i+1] = l[i+1], l[i]
			return l, i + 1
		},
		"bytes out": func(l [][]byte) ([][]byte, int) {
			i := r.IntN(len(l) - 1)
			from := r.IntN(len(l[i]) - 1)
			l[i] = slices.Delete(bytes.Clone(l[i]), from, from+1+r.IntN(len(l[i])-from-1))
			return l, i + 1
		},
	}
}

// TestEveryEditIsFound: whatever one edit does to a chain, the first bad line is named.
func TestEveryEditIsFound(t *testing.T) {
	good := chain(*editedLines)
	seed := rand.Uint64()
	all := editor{rand.New(rand.NewPCG(seed, 2))}.kinds()
	for name, edit := range all {
		t.Run(name, func(t *testing.T) {
			found, each := 0, *edits/len(all)
			for range each {
				changed, want := edit(slices.Clone(good))
				file := write(t, changed)
				_, err := verify(file)
				bad, ok := errors.AsType[*inspect.Bad](err)
				if !ok {
					t.Fatalf("seed %d, line %d: got %v", seed, want, err)
				}
				// A changed byte can be a newline, which makes two lines of one, or its
				// number, which shows in the line itself.
				if bad.Line != want && name != "bit" || bad.Line < want-1 || bad.Line > want+1 {
					t.Errorf("seed %d: got line %d (%s), want %d", seed, bad.Line, bad.Why, want)
				}
				found++
				_ = os.Remove(file) // the next one needs the room
			}
			t.Logf("%d of %d edits found in %d lines", found, each, len(good))
		})
	}
}

func TestVerify(t *testing.T) {
	good := chain(20)
	torn := func(bytes int) [][]byte {
		l := slices.Clone(good[:10])
		half := []byte(`{"seq":11,"prev":"`)
		sum := sha256.Sum256(half)
		return append(l, half, fmt.Appendf(nil, `{"seq":11,"prev":"%x","type":"torn","bytes":%d}`, sum, bytes))
	}
	segment := func(kind string) [][]byte {
		l := chain(5)
		sum := sha256.Sum256(l[3])
		return [][]byte{fmt.Appendf(nil, `{"seq":5,"prev":"%x","type":%q}`, sum, kind)}
	}
	// cutOff is a file whose first line was cut off by a crash, as the log goes on in it.
	cutOff := func(half string, bytes int) [][]byte {
		first := fmt.Appendf(nil, `{"seq":1,"prev":"%064d","type":"torn","bytes":%d}`, 0, bytes)
		second := fmt.Appendf(nil, `{"seq":2,"prev":"%x","type":"intent"}`, sha256.Sum256(first))
		return [][]byte{[]byte(half), first, second}
	}
	old := [][]byte{[]byte(`{"type":"intent"}`), []byte("\x00\x00")}
	for name, c := range map[string]struct {
		files [][][]byte
		lines int
		bad   string // end of "file:line"
	}{
		"one file":             {files: [][][]byte{good}, lines: 20},
		"two files":            {files: [][][]byte{good[:7], good[7:]}, lines: 20},
		"wrong order":          {files: [][][]byte{good[7:], good[:7]}, bad: ":1"},
		"file is missing":      {files: [][][]byte{good[:7], good[9:]}, bad: ":1"},
		"head is cut off":      {files: [][][]byte{good[1:]}, bad: ":1"},
		"begins with segment":  {files: [][][]byte{segment("segment")}, lines: 1},
		"begins with a record": {files: [][][]byte{segment("intent")}, bad: ":1"},
		"torn":                 {files: [][][]byte{torn(18)}, lines: 11},
		"torn, another length": {files: [][][]byte{torn(17)}, bad: ":11"},
		"before the chain":     {files: [][][]byte{append(slices.Clone(old), good...)}, bad: ":1"},
		"a file before it":     {files: [][][]byte{old, good}, bad: ":1"},
		"half of line 1":       {files: [][][]byte{cutOff(`{"seq":1,"prev":"00`, 19)}, lines: 2},
		"not its length":       {files: [][][]byte{cutOff(`{"seq":1,"prev":"00`, 18)}, bad: ":1"},
		"a record for half":    {files: [][][]byte{cutOff(`{"op":"kv.destroy"}`, 19)}, bad: ":1"},
		"first line changed":   {files: [][][]byte{append([][]byte{[]byte(`{"sdq":1}`)}, good[1:]...)}, bad: ":1"},
	} {
		t.Run(name, func(t *testing.T) {
			var files []string
			for _, f := range c.files {
				files = append(files, write(t, f))
			}
			v, err := verify(files...)
			if c.bad == "" && (err != nil || v.Lines != c.lines) || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad+"\n")) {
				t.Errorf("got %+v, %v", v, err)
			}
		})
	}
	half := write(t, good)
	if err := os.Truncate(half, 500); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(half); err == nil || !strings.Contains(err.Error(), "no end") {
		t.Errorf("the end is cut off: got %v", err)
	}
}

// TestLinesBeforeTheChainAreAllowedByName: without the permission they are a finding, as
// anybody can put them there.
func TestLinesBeforeTheChainAreAllowedByName(t *testing.T) {
	old := [][]byte{[]byte(`{"type":"outcome","op":"kv.read","code":"ok"}`), []byte("plain text")}
	file := write(t, append(old, chain(3)...))
	var out bytes.Buffer
	if err := (inspect.Verify{Files: []string{file}, Out: &out}).Run(); err == nil || !strings.Contains(err.Error(), file+":1\n") || !strings.Contains(err.Error(), "--allow-unchained") {
		t.Errorf("got %v, %s", err, &out)
	}
	if err := (inspect.Verify{Files: []string{file}, Out: &out, AllowUnchained: true}).Run(); err != nil || !strings.Contains(out.String(), "2 lines before the chain are not proved") {
		t.Errorf("allowed: got %v, %s", err, &out)
	}
	none := write(t, old)
	if _, ok := errors.AsType[inspect.Usage](inspect.Verify{Files: []string{none}, Out: &out, AllowUnchained: true}.Run()); !ok {
		t.Error("no line of a chain, and yet something is verified")
	}
}

// TestAFirstLineThatWasCutOffIsGood: a gateway that was killed while it wrote its first
// line goes on behind it, and that is no finding.
func TestAFirstLineThatWasCutOffIsGood(t *testing.T) {
	file := write(t, nil)
	if err := os.WriteFile(file, []byte(`{"seq":1,"prev":"0000`), 0o600); err != nil {
		t.Fatal(err)
	}
	evidence(t, audit.Config{Path: file}, 0, 3)
	if v, err := verify(file); err != nil || v.Torn != 1 || v.Unchained != 0 || v.Lines < 4 {
		t.Errorf("got %+v, %v", v, err)
	}
}

func BenchmarkVerify(b *testing.B) {
	name := write(b, chain(100_000))
	st, err := os.Stat(name)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(st.Size())
	for b.Loop() {
		if _, err := verify(name); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTheLastLineIsARecord: nothing behind it has its hash, so it is looked at itself.
func TestTheLastLineIsARecord(t *testing.T) {
	lines := chain(20)
	last := lines[19]
	lines[19] = append(slices.Clone(last[:len(last)-4]), "x}"...)
	var bad *inspect.Bad
	if _, err := verify(write(t, lines)); !errors.As(err, &bad) || bad.Line != 20 {
		t.Errorf("got %v", err)
	}
}
