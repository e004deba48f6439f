package clients_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRecordings: what clients of Vault have said to Vault and to the gateway (make clients
// writes it down) is still answered as it was: with the status, the form of the body and
// the headers of then.
func TestRecordings(t *testing.T) {
	for _, s := range both(t) {
		files, err := filepath.Glob(recording("*", s.name))
		if err != nil || len(files) < 4 {
			t.Fatalf("%s: got the recordings %v, %v", s.name, files, err)
		}
		for _, file := range files {
			t.Run(filepath.Base(file), func(t *testing.T) { replay(t, s, file) })
		}
	}
}

func replay(t *testing.T, s side, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var answers []any
	for line := range bytes.Lines(raw) {
		var e exchange
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		got, answer := again(t, s, e, answers)
		answers = append(answers, answer)
		if got.Status != e.Status || !slices.Equal(got.Form, e.Form) || !slices.Equal(got.Named, e.Named) {
			t.Errorf("%d: %s %s: got %d %v %v\nrecorded: %d %v %v\nthe answer: %v", len(answers)-1, e.Method, e.URI, got.Status, got.Form, got.Named, e.Status, e.Form, e.Named, answer)
		}
	}
}

// again sends a recorded request, with what earlier answers have where it refers to them.
func again(t *testing.T, s side, e exchange, answers []any) (exchange, any) {
	t.Helper()
	fill := func(text string) string { return filled(t, strings.ReplaceAll(text, "<TOKEN>", s.token), answers) }
	req, err := http.NewRequestWithContext(t.Context(), e.Method, s.addr+fill(e.URI), strings.NewReader(fill(e.Body)))
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range e.Headers {
		req.Header.Set(name, fill(v))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := e
	got.answered(resp.StatusCode, resp.Header, body)
	var answer any
	_ = json.Unmarshal(body, &answer) // some answers have no body, and some no JSON
	return got, answer
}

var reference = regexp.MustCompile(`<(\d+)\.([\w.]+)>`)

func filled(t *testing.T, text string, answers []any) string {
	t.Helper()
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		parts := reference.FindStringSubmatch(ref)
		n, err := strconv.Atoi(parts[1])
		if err != nil || n >= len(answers) {
			t.Fatalf("no answer %s", ref)
		}
		v := answers[n]
		for name := range strings.SplitSeq(parts[2], ".") {
			object, _ := v.(map[string]any)
			v = object[name]
		}
		return fmt.Sprint(v)
	})
}
