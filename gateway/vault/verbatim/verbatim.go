// Package verbatim decodes JSON of which one value is wanted as the text that it is. A long
// string in that value is checked where it stands, and the decoder sees what is around it:
// what takes time is then the structure of a text and not its length. What is accepted, and
// what is made of it, is what the decoder alone accepts and makes.
package verbatim

import (
	"bytes"
	"sort"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What a value has around it when it is a copy: room for what stands before and behind it
// in an answer.
const (
	roomBefore = 16
	roomBehind = 128
)

// Value is a JSON value as it came. Its zero value is none.
type Value struct {
	text     []byte // that it is a part of
	from, to int
	line     bool   // there is no line break in it
	free     func() // gives the memory of the text back; nil when nobody waits for it
}

// UnmarshalJSON keeps a copy.
func (v *Value) UnmarshalJSON(raw []byte) error {
	text := make([]byte, roomBefore+len(raw)+roomBehind)
	copy(text[roomBefore:], raw)
	*v = Value{text: text, from: roomBefore, to: roomBefore + len(raw), line: oneLine(raw)}
	return nil
}

// Raw is the text, nil for none.
func (v Value) Raw() []byte {
	if v.text == nil {
		return nil
	}
	return v.text[v.from:v.to:v.to]
}

// Holds reports whether data are the text, and not a copy of it.
func (v Value) Holds(data []byte) bool {
	own := v.Raw()
	return len(own) > 0 && len(own) == len(data) && &own[0] == &data[0]
}

// OneLine reports whether the text can be a part of a line.
func (v Value) OneLine() bool { return v.line }

// Behind is the text behind another one, where it stands: nil when there is no room. What
// stood around it is lost.
func (v Value) Behind(before string) []byte {
	start := v.from - len(before)
	if v.text == nil || start < 0 {
		return nil
	}
	copy(v.text[start:], before)
	return v.text[start:v.to:len(v.text)]
}

// Keep lets the value have the memory of the text that it was decoded from, which free gives
// back. It returns false when the value has a copy.
func (v *Value) Keep(raw []byte, free func()) bool {
	if len(v.text) == 0 || len(raw) == 0 || &v.text[0] != &raw[0] {
		return false
	}
	v.free = free
	return true
}

// Lent returns what gives the memory back that a text stands in which Behind has begun. It
// is nil for any other text, and when nobody waits for the memory.
func (v Value) Lent(text []byte) func() {
	if v.free == nil || len(text) <= v.to-v.from {
		return nil
	}
	for i := max(0, v.from-roomBefore); i < v.from; i++ {
		if &v.text[i] == &text[0] {
			return v.free
		}
	}
	return nil
}

// Decode is json.Unmarshal for a long text, but that a Value is a part of raw instead of a
// copy.
func Decode(raw []byte, into any) error {
	if s := shorten(raw); len(s.cuts) > 0 && s.decode(into) == nil && s.kept == len(s.cuts) {
		return nil
	}
	return (&shortened{raw: raw, short: raw}).decode(into) // also says what is wrong
}

// shortened is a text without the inside of long strings.
type shortened struct {
	raw, short []byte
	cuts       []cut
	kept       int // cuts that are in a Value
}

// cut is where something is missing.
type cut struct {
	at   int // in the short text, behind the quote that the string begins with
	gone int // bytes that are missing up to there, with the string's own
}

func (s *shortened) decode(into any) error {
	return json.Unmarshal(s.short, into, json.WithUnmarshalers(json.UnmarshalFromFunc(s.value)))
}

// value takes the part of the whole text that a value of the short one stands for.
func (s *shortened) value(dec *jsontext.Decoder, v *Value) error {
	short, err := dec.ReadValue()
	if err != nil {
		return err
	}
	end := int(dec.InputOffset())
	from, first := s.place(end - len(short))
	to, last := s.place(end)
	*v = Value{text: s.raw, from: from, to: to, line: oneLine(short)} // a string that is valid has no line break
	s.kept += last - first
	return nil
}

// place is where a place of the short text is in the whole one, and how many cuts are
// before it.
func (s *shortened) place(at int) (int, int) {
	n := sort.Search(len(s.cuts), func(i int) bool { return s.cuts[i].at > at })
	if n == 0 {
		return at, 0
	}
	return at + s.cuts[n-1].gone, n
}

func oneLine(text []byte) bool {
	return bytes.IndexByte(text, '\n') < 0 && bytes.IndexByte(text, '\r') < 0
}
