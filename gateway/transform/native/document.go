package native

import (
	"encoding/json"
	"errors"
	"strings"
)

// Func is a built-in transform: it appends the changed document to dst and tells
// whether it changed.
type Func func(dst, doc, args []byte) ([]byte, bool, error)

// ErrInput is a document that is not JSON.
var ErrInput = errors.New("input is not JSON")

// editor copies a JSON document and replaces the values that are selected. All
// other bytes stay as they are.
type editor struct {
	sel  *selection
	edit func(dst, value []byte) []byte
	src  []byte
	pos  int
	dst  []byte
	last int
	path []string
}

// edit applies fn to each selected value of a document.
func edit(dst, doc []byte, sel *selection, fn func(dst, value []byte) []byte) ([]byte, bool, error) {
	if !json.Valid(doc) {
		return dst, false, ErrInput
	}
	e := &editor{sel: sel, edit: fn, src: doc, dst: dst}
	e.value(false)
	if e.last == 0 {
		return dst, false, nil
	}
	return append(e.dst, doc[e.last:]...), true, nil
}

func (e *editor) space() {
	for e.pos < len(e.src) && strings.IndexByte(" \t\r\n", e.src[e.pos]) >= 0 {
		e.pos++
	}
}

// value walks one value. The document is valid, so no end needs a check.
func (e *editor) value(member bool) {
	e.space()
	start := e.pos
	scalar := e.src[start] != '{' && e.src[start] != '['
	if scalar && e.sel.everything() || e.sel.matches(e.path, member) {
		e.skip()
		e.dst = e.edit(append(e.dst, e.src[e.last:start]...), e.src[start:e.pos])
		e.last = e.pos
		return
	}
	switch e.src[e.pos] {
	case '{':
		e.members()
	case '[':
		e.elements()
	default:
		e.skip()
	}
}

func (e *editor) members() {
	e.pos++
	for e.space(); e.src[e.pos] != '}'; e.space() {
		if e.src[e.pos] == ',' {
			e.pos++
			continue
		}
		start := e.pos
		e.skip()
		key := text(e.src[start:e.pos])
		e.space()
		e.pos++ // the colon
		e.path = append(e.path, key)
		e.value(true)
		e.path = e.path[:len(e.path)-1]
	}
	e.pos++
}

func (e *editor) elements() {
	e.pos++
	n := 0
	for e.space(); e.src[e.pos] != ']'; e.space() {
		if e.src[e.pos] == ',' {
			e.pos++
			continue
		}
		e.path = append(e.path, index(n))
		e.value(false)
		e.path = e.path[:len(e.path)-1]
		n++
	}
	e.pos++
}

// skip moves behind the value at pos.
func (e *editor) skip() {
	depth := 0
	for {
		switch e.src[e.pos] {
		case '"':
			e.skipString()
		case '{', '[':
			depth++
			e.pos++
		case '}', ']':
			depth--
			e.pos++
		case ',', ':', ' ', '\t', '\r', '\n':
			e.pos++
		default:
			e.skipScalar()
		}
		if depth == 0 {
			return
		}
	}
}

func (e *editor) skipString() {
	for e.pos++; e.src[e.pos] != '"'; e.pos++ {
		if e.src[e.pos] == '\\' {
			e.pos++
		}
	}
	e.pos++
}

func (e *editor) skipScalar() {
	for e.pos < len(e.src) && strings.IndexByte(",]} \t\r\n", e.src[e.pos]) < 0 {
		e.pos++
	}
}

// text decodes a JSON string, or returns the text of another value.
func text(raw []byte) string {
	if len(raw) > 1 && raw[0] == '"' {
		if !strings.Contains(string(raw), `\`) {
			return string(raw[1 : len(raw)-1])
		}
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	}
	return string(raw)
}
