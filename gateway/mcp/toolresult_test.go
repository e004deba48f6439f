package mcp

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// TestToolResultsQuoteAnyText: as the library does, with characters that need an escape at
// any place of any length.
func TestToolResultsQuoteAnyText(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	letters := []string{"a", " ", "!", "\"", "\\", "\n", "\r", "\t", "\x7f", "\x00", "\x1f", "é", "日", "😀", "\u2028", "<", "#", "]", "[", "\u00a2", "\u00dc"}
	for n := range 5000 {
		var text []byte
		for range n % 67 {
			text = append(text, letters[r.IntN(len(letters)*(1+n%3))%len(letters)]...)
		}
		want, err := jsontext.AppendQuote(nil, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendQuoted(nil, text); !bytes.Equal(got, want) {
			t.Fatalf("%q: got %s, want %s", text, got, want)
		}
	}
	for _, c := range []byte{' ', '!', '"', '#', '[', '\\', ']', 0x7f} { // beside what needs an escape
		for at := range 17 {
			text := bytes.Repeat([]byte("x"), 17)
			text[at] = c
			want, _ := jsontext.AppendQuote(nil, text) // valid
			if got := appendQuoted(nil, text); !bytes.Equal(got, want) {
				t.Fatalf("%q: got %s, want %s", text, got, want)
			}
		}
	}
}
