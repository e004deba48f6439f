package inspect_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/audit/inspect"
	"portcullis/gateway/audit/tree"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// evidence writes n records and closes the log, which signs what it has.
func evidence(t *testing.T, c audit.Config, from, n int) {
	t.Helper()
	c.Sign = true
	l := audit.Open(c)
	for i := range n {
		r := &op.Record{Request: &op.Request{ID: fmt.Sprint("r", from+i), Op: "kv.read", Transport: op.REST, Caller: &call.Caller{Subject: "bot"}}}
		r.Decision.ID = fmt.Sprint("d", from+i)
		if err := errors.Join(l.Intent(r), l.Outcome(r)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// keep copies a file to where nobody changes it.
func keep(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), filepath.Base(name))
	if err := os.WriteFile(kept, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return kept
}

// world is a chain of several files with a checkpoint that was kept in its middle.
func world(t *testing.T) (files []string, kept, key string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	c := audit.Config{Path: path, Segments: audit.Segments{MaxBytes: 8 << 10}}
	evidence(t, c, 0, 50)
	kept = keep(t, audit.Beside(path, "checkpoint"))
	evidence(t, c, 50, 50) // a restart goes on with the tree
	public, err := tree.PublicOf(c.KeyFile())
	if err != nil {
		t.Fatal(err)
	}
	key = filepath.Join(t.TempDir(), "audit.pub")
	if err := os.WriteFile(key, []byte(public+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err = filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	if err != nil || len(files) < 3 {
		t.Fatalf("got %q, %v", files, err)
	}
	slices.Sort(files)
	return append(files, path), kept, key
}

func TestAGoodChainIsHeldToItsCheckpoints(t *testing.T) {
	files, kept, key := world(t)
	var out bytes.Buffer
	if err := (inspect.Verify{Files: files, Since: kept, Key: key, Out: &out}).Run(); err != nil || !strings.Contains(out.String(), "good: ") || !strings.Contains(out.String(), "holds up to line") {
		t.Errorf("got %s, %v", &out, err)
	}
	out.Reset()
	if err := (inspect.Verify{Files: files, Out: &out}).Run(); err != nil || !strings.Contains(out.String(), "nothing outside anchors") {
		t.Errorf("got %s, %v", &out, err)
	}
}

// TestWhatACheckpointSignsIsMissed: a chain that was cut, or written anew, is found by
// whoever kept a checkpoint.
func TestWhatACheckpointSignsIsMissed(t *testing.T) {
	for name, forge := range map[string]func(t *testing.T, files []string) []string{
		"files cut off": func(_ *testing.T, files []string) []string { return files[:1] },
		"written anew": func(t *testing.T, _ []string) []string {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			evidence(t, audit.Config{Path: path}, 1000, 200)
			return []string{path}
		},
	} {
		t.Run(name, func(t *testing.T) {
			files, kept, key := world(t)
			forged := forge(t, files)
			_ = os.Remove(audit.Beside(forged[len(forged)-1], "checkpoint"))
			err := inspect.Verify{Files: forged, Since: kept, Key: key, Out: &bytes.Buffer{}}.Run()
			if _, ok := errors.AsType[*inspect.Bad](err); !ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestACutTailIsMissed: wherever a chain is cut before the line that a kept checkpoint
// signs, at the end of a line or inside one, that is found.
func TestACutTailIsMissed(t *testing.T) {
	const cuts = 100
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	c := audit.Config{Path: path}
	evidence(t, c, 0, 500)
	kept := keep(t, audit.Beside(path, "checkpoint"))
	evidence(t, c, 500, 50)
	public, err := tree.PublicOf(c.KeyFile())
	raw, err2 := os.ReadFile(path)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "audit.pub")
	if err := os.WriteFile(key, []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	ends, found := []int{}, 0 // of the lines that the checkpoint signs
	for i, b := range raw {
		if b == '\n' && len(ends) < 1000 {
			ends = append(ends, i+1)
		}
	}
	for n := range cuts {
		at := ends[rand.IntN(999)] // before the line that is signed
		if n%3 == 0 {
			at -= 1 + rand.IntN(60)
		}
		cut := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(cut, raw[:at], 0o600); err != nil {
			t.Fatal(err)
		}
		err := inspect.Verify{Files: []string{cut}, Since: kept, Key: key, Out: &bytes.Buffer{}}.Run()
		if _, ok := errors.AsType[*inspect.Bad](err); ok {
			found++
		} else {
			t.Errorf("cut at byte %d: got %v", at, err)
		}
	}
	t.Logf("%d of %d cut tails found", found, cuts)
}

// TestTheNextStartSeesThatTheEndIsMissing: what was cut off while no gateway ran is told
// in a record, numbers are not given twice, and a file that was moved away is named.
func TestTheNextStartSeesThatTheEndIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		lose func(path string) error
		kind string
		good bool // with the file that was moved before it
	}{
		"cut":   {func(path string) error { return os.Truncate(path, 2000) }, `"type":"gap"`, false},
		"moved": {func(path string) error { return os.Rename(path, path+".old") }, `"type":"segment"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			evidence(t, audit.Config{Path: path}, 0, 20)
			if err := c.lose(path); err != nil {
				t.Fatal(err)
			}
			evidence(t, audit.Config{Path: path}, 20, 1)
			raw, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(raw), c.kind) || !strings.Contains(string(raw), `"after_seq":40`) || strings.Contains(string(raw), `{"seq":40,`) {
				t.Errorf("got %s, %v", raw, err)
			}
			files := []string{path}
			if c.good {
				files = []string{path + ".old", path}
			}
			err = inspect.Verify{Files: files, Out: &bytes.Buffer{}}.Run()
			if _, bad := errors.AsType[*inspect.Bad](err); bad == c.good || err == nil != c.good {
				t.Errorf("verify: %v", err)
			}
			evidence(t, audit.Config{Path: path}, 21, 1) // and the one after it says nothing more
			if again, err := os.ReadFile(path); err != nil || strings.Count(string(again), c.kind) != 1 {
				t.Errorf("got %s, %v", again, err)
			}
			var proof bytes.Buffer
			if err := inspect.Prove(&proof, []string{path}, "45"); err != nil {
				t.Errorf("nothing is proved any more: %v", err)
			}
		})
	}
}

// TestAKeptCheckpointIsHeldTo: files that begin behind it could be of any chain, so they
// are not called good.
func TestAKeptCheckpointIsHeldTo(t *testing.T) {
	files, kept, key := world(t)
	var out bytes.Buffer
	err := inspect.Verify{Files: files[len(files)-1:], Since: kept, Key: key, Out: &out}.Run()
	if _, ok := errors.AsType[inspect.Usage](err); !ok || strings.Contains(out.String(), "good") {
		t.Errorf("got %v and %s", err, &out)
	}
	if err := (inspect.Verify{Files: files[len(files)-1:], Key: key, Out: &out}).Run(); err != nil || !strings.Contains(out.String(), "nothing outside anchors") {
		t.Errorf("without a kept one: got %v and %s", err, &out)
	}
}

func TestOtherErrorsAreOfWhoAsks(t *testing.T) {
	files, kept, _ := world(t)
	for name, v := range map[string]inspect.Verify{
		"no file":       {Files: []string{"/nonexistent"}},
		"no checkpoint": {Files: files, Since: "/nonexistent"},
		"no key":        {Files: []string{keep(t, files[0])}, Since: kept},
		"bad key":       {Files: files, Since: kept, Key: files[0]},
	} {
		v.Out = &bytes.Buffer{}
		if _, ok := errors.AsType[inspect.Usage](v.Run()); !ok {
			t.Errorf("%s: got %v", name, v.Run())
		}
	}
}

// TestProofsOfLinesAndDecisions: a proof stands alone, and is small.
func TestProofsOfLinesAndDecisions(t *testing.T) {
	files, _, key := world(t)
	for _, id := range []string{"1", "57", "200", "d0", "d99"} {
		var proof, out bytes.Buffer
		if err := inspect.Prove(&proof, files, id); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		name := filepath.Join(t.TempDir(), "proof.json")
		if err := os.WriteFile(name, proof.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := inspect.VerifyProof(&out, name, key); err != nil || strings.HasPrefix(id, "d") && strings.Count(out.String(), `"decision_id":"`+id+`"`) != 2 {
			t.Errorf("%s: got %s, %v", id, &out, err)
		}
		if proof.Len() > 3<<10 {
			t.Errorf("%s: the proof has %d bytes", id, proof.Len())
		}
		if err := os.WriteFile(name, bytes.Replace(proof.Bytes(), []byte("bot"), []byte("box"), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := inspect.VerifyProof(&out, name, key); err == nil {
			t.Errorf("%s: a changed line is proved", id)
		}
	}
	if err := inspect.Prove(&bytes.Buffer{}, files, "nobody"); err == nil {
		t.Error("an unknown id is proved")
	}
}

// TestAProofNeedsNoOlderLine: the path is read from the tiles and the line is searched
// for, so that files before it need not be there.
func TestAProofNeedsNoOlderLine(t *testing.T) {
	files, _, key := world(t)
	last := files[len(files)-1:]
	raw, err := os.ReadFile(last[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.Split(bytes.TrimSpace(raw), []byte("\n")) {
		var seq int
		if _, err := fmt.Sscanf(string(line), `{"seq":%d,`, &seq); err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprint(seq)
		var proof, out bytes.Buffer
		if err := inspect.Prove(&proof, last, id); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		name := filepath.Join(t.TempDir(), "proof.json")
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, proof.Bytes(), "", "  "); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, pretty.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := inspect.VerifyProof(&out, name, key); err != nil || !strings.Contains(out.String(), `{"seq":`+id+`,`) {
			t.Errorf("%s: got %s, %v", id, &out, err)
		}
	}
	if err := inspect.Prove(&bytes.Buffer{}, last, "3"); err == nil {
		t.Error("a line is proved that is not there")
	}
}

// TestADecisionIsSearchedForByItsTime: a decision's id says when it was made.
func TestADecisionIsSearchedForByItsTime(t *testing.T) {
	dir := t.TempDir()
	c := audit.Config{Path: filepath.Join(dir, "audit.jsonl"), Sign: true}
	l := audit.Open(c)
	write := func(id string) {
		r := &op.Record{Request: &op.Request{ID: "r", Op: "kv.read", Transport: op.REST, Caller: &call.Caller{Subject: "bot"}}}
		r.Decision.ID = id
		if err := errors.Join(l.Intent(r), l.Outcome(r)); err != nil {
			t.Fatal(err)
		}
	}
	id := func(n int) string { return ulid(time.Now()) + fmt.Sprintf("%016d", n) }
	var wanted string
	for n := range 3000 { // more than is read at once
		made := id(n)
		if n == 2000 {
			wanted = made
		}
		write(made)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var proof bytes.Buffer
	if err := inspect.Prove(&proof, []string{c.Path}, wanted); err != nil || strings.Count(proof.String(), wanted) < 2 {
		t.Errorf("got %s, %v", &proof, err)
	}
	if proof.Len() > 3<<10 {
		t.Errorf("the proof has %d bytes", proof.Len())
	}
}

// ulid is the time in the form that ids of decisions begin with.
func ulid(at time.Time) string {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	out, ms := make([]byte, 10), at.UnixMilli()
	for i := range out {
		out[9-i], ms = digits[ms&31], ms>>5
	}
	return string(out)
}
