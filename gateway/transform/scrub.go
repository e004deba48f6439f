package transform

import (
	"bytes"
	"encoding/json"
	"strings"

	"portcullis/gateway/transform/native"
)

// minPiece is how many bytes of a name or value of a document, in their order, count as a
// part of it. A shorter name or value counts as a whole.
const minPiece = 6

// scrubber takes out of texts what is in a document. The redactor finds what looks like a
// secret, and what callers were given; a module also sees what no caller is given.
type scrubber struct{ parts []string }

// newScrubber is one for some documents. What is not JSON counts as one value.
func newScrubber(documents ...[]byte) *scrubber {
	s := &scrubber{}
	for _, doc := range documents {
		dec := json.NewDecoder(bytes.NewReader(doc))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			v = string(doc)
		}
		s.add(v)
	}
	return s
}

func (s *scrubber) add(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			s.add(name)
			s.add(member)
		}
	case []any:
		for _, element := range v {
			s.add(element)
		}
	case json.Number:
		s.add(v.String())
	case string:
		if v != "" {
			s.parts = append(s.parts, lower(printable(v)))
		}
	}
}

// clean replaces what the text has of the documents. The work is linear in their length.
func (s *scrubber) clean(text string) string {
	at, found := pieces(lower(text)), make([]bool, len(text))
	mark := func(piece string) {
		for _, i := range at[piece] {
			for j := range len(piece) {
				found[i+j] = true
			}
		}
		delete(at, piece) // once is enough
	}
	for _, part := range s.parts {
		if len(part) <= minPiece {
			mark(part)
			continue
		}
		for i := 0; i+minPiece <= len(part); i++ {
			mark(part[i : i+minPiece])
		}
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !found[i]:
			b.WriteByte(text[i])
		case i == 0 || !found[i-1]:
			b.WriteString(native.Redacted)
		}
	}
	return strings.ToValidUTF8(b.String(), "") // a piece may end within a rune
}

// pieces are where each piece of a text is that could be one of a document: of up to minPiece
// bytes, those of one and two bytes only as words of their own.
func pieces(text string) map[string][]int {
	at := map[string][]int{}
	for n := 1; n <= minPiece; n++ {
		for i := 0; i+n <= len(text); i++ {
			if n > 2 || alone(text, i, i+n) {
				at[text[i:i+n]] = append(at[text[i:i+n]], i)
			}
		}
	}
	return at
}

func alone(text string, from, to int) bool {
	word := func(i int) bool {
		return i >= 0 && i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] >= 'a' && text[i] <= 'z' || text[i] >= 0x80)
	}
	return !word(from-1) && !word(to)
}

// lower is the text with small letters of ASCII, as long as before.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
