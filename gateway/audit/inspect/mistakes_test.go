package inspect_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/audit/inspect"
)

// TestAnAnswerHasSeenEvidence: files without evidence are not good, a path that no record
// names is not one that nobody has received, and a question that nothing can match is
// refused.
func TestAnAnswerHasSeenEvidence(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	evidence(t, audit.Config{Path: path}, 0, 3)
	put := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	verified := func(v inspect.Verify) func() error {
		v.Out = &bytes.Buffer{}
		return v.Run
	}
	exposed := func(secret string) func() error {
		return func() error {
			_, err := inspect.Exposure(inspect.Files{Names: []string{path}}, secret, time.Now())
			return err
		}
	}
	key, none := audit.Beside(path, "key"), put("none", "")
	records := put("records", `{"time":"2026-01-01T00:00:00Z","type":"outcome","op":"kv.read","code":"ok"}`+"\n")
	for name, ask := range map[string]func() error{
		"an empty file":           verified(inspect.Verify{Files: []string{none}}),
		"records without a chain": verified(inspect.Verify{Files: []string{records}}),
		"a directory":             verified(inspect.Verify{Files: []string{dir}}),
		"a private key":           verified(inspect.Verify{Files: []string{path}, Key: key}),
		"no checkpoint":           verified(inspect.Verify{Files: []string{path}, Since: path}),
		"another path":            exposed("secret/data/a"),
		"no path":                 exposed(""),
		"a path of no version":    exposed("secret/a@x"),
		"a type that is none":     func() error { return (&inspect.Filter{Type: "outcom"}).Check() },
		"until before since":      func() error { return (&inspect.Filter{Since: time.Unix(2, 0), Until: time.Unix(1, 0)}).Check() },
	} {
		if _, ok := errors.AsType[inspect.Usage](ask()); !ok {
			t.Errorf("%s: got %v, want an error of usage", name, ask())
		}
	}
	f := inspect.Filter{Op: "kv_read_many", Code: "OK"}
	if err := f.Check(); err != nil || f.Op != "kv.read_many" || f.Code != "ok" {
		t.Errorf("got %+v, %v", f, err)
	}
}

// TestLinesThatAreNoRecordsAreToldOnce: a file that is no evidence fills nobody's terminal.
func TestLinesThatAreNoRecordsAreToldOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	record := `{"time":"2026-01-01T00:00:00Z","type":"outcome","op":"kv.read","code":"ok"}` + "\n"
	if err := os.WriteFile(file, []byte(record+strings.Repeat("no record\n", 1000)+record), 0o600); err != nil {
		t.Fatal(err)
	}
	var told []string
	n, err := inspect.Query(&bytes.Buffer{}, inspect.Files{Names: []string{file}, Skipped: func(_ string, line, n int) {
		told = append(told, fmt.Sprintf("line %d, %d in all", line, n))
	}}, inspect.Filter{}, true)
	if err != nil || n != 2 || !slices.Equal(told, []string{"line 2, 1000 in all"}) {
		t.Errorf("%d records, %v, told %q", n, err, told)
	}
}
