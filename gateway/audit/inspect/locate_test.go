package inspect

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// written are files of evidence that were made up, with the decisions in them.
type written struct {
	files []string
	ids   []string
}

// write makes up evidence as many callers leave it: intents, with outcomes that follow
// seconds or minutes later, refusals, ids that others mention, lines that are none.
func write(t testing.TB, r *rand.Rand, lines int) (w written) {
	t.Helper()
	dir, at := t.TempDir(), time.UnixMilli(1_760_000_000_000).UTC()
	var due []string // outcomes that are not written yet
	var out io.WriteCloser
	for n := range lines {
		if n%(lines/3+1) == 0 {
			w.files = append(w.files, filepath.Join(dir, fmt.Sprintf("audit-%d.jsonl", n)))
			if n == 0 {
				w.files[0] += ".gz"
			}
			if out != nil {
				_ = out.Close()
			}
			f, err := os.Create(w.files[len(w.files)-1])
			if err != nil {
				t.Fatal(err)
			}
			if out = f; n == 0 {
				out = zipping{gzip.NewWriter(f), f}
			}
		}
		at = at.Add(time.Duration(r.IntN(2000)) * time.Millisecond)
		id, kind, more := idAt(at, n), "intent", ""
		switch k := r.IntN(20); {
		case k == 0:
			_, _ = fmt.Fprintf(out, "{\"seq\":%d,\"torn\n", n+1)
			continue
		case k == 1:
			kind = "refusal"
		case k == 2 && len(w.ids) > 0:
			more = fmt.Sprintf(`,"args":{"note":%q}`, w.ids[r.IntN(len(w.ids))])
		case k < 10 && len(due) > 0:
			i := r.IntN(len(due))
			id, kind = due[i], "outcome"
			due = append(due[:i], due[i+1:]...)
		}
		if kind == "intent" {
			due = append(due, id)
		}
		if kind != "outcome" {
			w.ids = append(w.ids, id)
		}
		_, _ = fmt.Fprintf(out, `{"seq":%d,"prev":"%064d","time":%q,"type":%q,"decision_id":%q%s}`+"\n", n+1, n,
			at.Add(-time.Duration(r.IntN(20_000))*time.Millisecond).Format(time.RFC3339Nano), kind, id, more)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

type zipping struct {
	*gzip.Writer
	file *os.File
}

func (z zipping) Close() error {
	_ = z.Writer.Close()
	return z.file.Close()
}

// idAt is an id of a decision (the ULID form).
func idAt(at time.Time, n int) string {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	out, ms := make([]byte, 10), at.UnixMilli()
	for i := range out {
		out[9-i], ms = digits[ms&31], ms>>5
	}
	return string(out) + fmt.Sprintf("%016d", n)
}

// parsed are the lines of each decision, found by reading every line as a record.
func (w written) parsed(t testing.TB) (lines map[string][]string) {
	t.Helper()
	lines = map[string][]string{}
	err := (Files{Names: w.files}).Each(func(r *Record, line []byte) error {
		if made, ok := madeAt(r.DecisionID); ok && !r.Time.After(made.Add(locateAfter)) { // as long as locate looks
			lines[r.DecisionID] = append(lines[r.DecisionID], string(line))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestLocateFindsWhatParsingFinds: the lines of a decision are those that reading every
// line as a record finds, although only those that hold its id are read.
func TestLocateFindsWhatParsingFinds(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	w, both := write(t, r, 3000), 0
	all := w.parsed(t)
	for _, id := range append([]string{idAt(time.UnixMilli(1_760_000_100_000), 99_999)}, w.ids...) {
		if r.IntN(10) > 0 {
			continue
		}
		want := all[id]
		got, err := locate(w.files, id)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, l := range got {
			lines = append(lines, string(l.Text))
		}
		for _, line := range want {
			if !strings.Contains(strings.Join(lines, "\n"), line) {
				t.Errorf("seed %d: %s: missing %s", seed, id, line)
			}
		}
		if len(want) == 2 {
			both++
		}
		for _, line := range lines {
			if rec, err := ParseRecord([]byte(line)); err != nil || rec.DecisionID != id {
				t.Errorf("seed %d: %s: found %s", seed, id, line)
			}
		}
	}
	if both < 20 {
		t.Errorf("seed %d: only %d decisions have two lines", seed, both)
	}
}

// TestLocateByNumber finds each line that is one.
func TestLocateByNumber(t *testing.T) {
	w := write(t, rand.New(rand.NewPCG(1, 1)), 600)
	for _, seq := range []int{1, 2, 7, 201, 202, 400, 599, 600, 601} {
		got, err := locate(w.files, fmt.Sprint(seq))
		if err != nil || len(got) > 1 {
			t.Fatalf("%d: %d lines, %v", seq, len(got), err)
		}
		want := w.line(t, seq)
		if len(got) == 0 && want != "" || len(got) == 1 && string(got[0].Text) != want {
			t.Errorf("%d: got %v, want %s", seq, got, want)
		}
	}
}

// line is the record with a number, empty when there is none.
func (w written) line(t testing.TB, seq int) (found string) {
	t.Helper()
	err := (Files{Names: w.files}).Each(func(r *Record, line []byte) error {
		if r.Seq == uint64(seq) {
			found = string(line)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestLocateReadsFewLines: as records. All others are looked at for the id alone.
func TestLocateReadsFewLines(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(f)
	for n := range 20_000 { // within one minute
		at := time.UnixMilli(1_760_000_000_000 + int64(n)).UTC()
		_, _ = fmt.Fprintf(out, `{"seq":%d,"prev":"%064d","time":%q,"type":"refusal","decision_id":%q}`+"\n", n+1, n, at.Format(time.RFC3339Nano), idAt(at, n))
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	id := idAt(time.UnixMilli(1_760_000_000_000+19_999), 19_999)
	few := testing.AllocsPerRun(3, func() {
		if got, err := locate([]string{name}, id); err != nil || len(got) != 1 {
			t.Fatalf("%d lines, %v", len(got), err)
		}
	})
	if few > 2000 { // a record that is read costs more than one
		t.Errorf("%v allocations in 20,000 lines, want 2,000 at most", few)
	}
}
