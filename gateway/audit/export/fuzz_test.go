package export_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"portcullis/gateway/audit/export"
)

// FuzzEvents: an event is one line, and JSON where it should be, whatever the record says.
func FuzzEvents(f *testing.F) {
	f.Add([]byte(`{"seq":1,"type":"outcome","time":"2026-01-01T00:00:00Z","subject":"a|b=c\nCEF:0|x","op":"kv.read","path":"x\u001b\u2028","code":"ok"}`))
	f.Add([]byte(`{"seq":1,"type":"refusals","count":-1,"codes":{"a":1},"expires":"9999-12-31T23:59:59Z"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, format := range export.Formats() {
			out, err := export.Append(nil, format, line, "1.2")
			if err != nil {
				continue // no record
			}
			switch {
			case bytes.ContainsAny(out, "\n\r"):
				t.Errorf("%s has a line end: %q", format, out)
			case format == export.CEF && strings.ContainsFunc(string(out), func(r rune) bool { return !unicode.IsPrint(r) }):
				t.Errorf("%s has a character that nobody sees: %q", format, out)
			case format != export.CEF && !json.Valid(out):
				t.Errorf("%s is no JSON: %q", format, out)
			}
		}
	})
}
