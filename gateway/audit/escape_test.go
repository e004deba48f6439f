package audit

import (
	"encoding/json"
	"testing"
)

// TestNothingInTheFileIsHidden: what a terminal does not show as it is stands in the file
// as an escape, and means the same.
func TestNothingInTheFileIsHidden(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":"plain é 日本 😀"}`:                `{"a":"plain é 日本 😀"}`,
		"{\"a\":\"\u009b2K\"}":                `{"a":"\u009b2K"}`,
		"{\"a\":\"x\u202egpj.exe\"}":          `{"a":"x\u202egpj.exe"}`,
		"{\"a\":\"\u2028\ufeff\U000E0041é\"}": `{"a":"\u2028\ufeff\udb40\udc41é"}`,
	} {
		got := escapeHidden([]byte(in))
		var a, b any
		if string(got) != want || json.Unmarshal([]byte(in), &a) != nil || json.Unmarshal(got, &b) != nil {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { escapeHidden([]byte(`{"a":"é"}`)) }); n > 1 {
		t.Errorf("%v allocations for a record with nothing hidden", n)
	}
}

func BenchmarkEscapeHidden(b *testing.B) {
	line := make([]byte, 600)
	for i := range line {
		line[i] = 'a'
	}
	for b.Loop() {
		escapeHidden(line)
	}
}
