package protocol

import (
	"bytes"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Object is a JSON object whose members have been found once, in their order.
type Object []member

type member struct {
	Name  string
	Value jsontext.Value
}

// readObject finds the members of an object that CheckJSON has accepted. Nothing,
// null and an empty list are an empty object: several languages write one so.
func readObject(raw jsontext.Value) (Object, error) {
	switch {
	case IsNothing(raw):
		return nil, nil
	case raw.Kind() != '{':
		return nil, errors.New("must be an object, not " + KindOf(raw))
	}
	var o Object
	for name, value := range members(raw) {
		o = append(o, member{name, value})
	}
	return o, nil
}

// IsNothing reports whether a value where an object is expected says nothing.
func IsNothing(raw jsontext.Value) bool {
	return raw == nil || raw.Kind() == 'n' || raw.Kind() == '[' && len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
}

// KindOf names the type of a JSON value for people.
func KindOf(raw jsontext.Value) string {
	switch raw.Kind() {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 'n':
		return "null"
	}
	return "a boolean"
}

// members walks an object that CheckJSON has accepted. The values are slices of raw.
func members(raw jsontext.Value) func(yield func(string, jsontext.Value) bool) {
	return func(yield func(string, jsontext.Value) bool) {
		dec := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true))
		if _, err := dec.ReadToken(); err != nil {
			return
		}
		for dec.PeekKind() == '"' {
			tok, err := dec.ReadToken()
			if err != nil {
				return
			}
			key := tok.String()
			val, err := dec.ReadValue()
			if err != nil {
				return
			}
			end := int(dec.InputOffset())
			if !yield(key, raw[end-len(val):end:end]) {
				return
			}
		}
	}
}

// Reader reads the members of an object by their exact names. The first thing that
// is wrong stays; what is read after it is zero.
type Reader struct {
	O   Object
	Err error
}

// Value is the member with a name, nil when it is absent or null. A name that
// differs from the one asked for in case alone is refused: somebody else's parser may
// take the one for the other.
func (r *Reader) Value(name string) (v jsontext.Value) {
	for i := range r.O {
		switch m := &r.O[i]; {
		case m.Name == name:
			v = m.Value
		case strings.EqualFold(m.Name, name):
			r.Fail("%s is misspelt: the names of members are case-sensitive", name)
		}
	}
	if v != nil && v.Kind() == 'n' {
		return nil
	}
	return v
}

// Optional is a string that need not be there.
func (r *Reader) Optional(name string) string {
	v := r.Value(name)
	if v == nil {
		return ""
	}
	s, ok := Text(v)
	if !ok {
		r.Fail("%s must be a string, not "+KindOf(v), name)
	}
	return s
}

// Text is a string that must be there.
func (r *Reader) Text(name string) string {
	if r.Value(name) == nil {
		r.Fail("%s is missing", name)
		return ""
	}
	return r.Optional(name)
}

// Object is a member that is an object, empty when it is absent.
func (r *Reader) Object(name string) Object {
	o, err := readObject(r.Value(name))
	if err != nil {
		r.Fail("%s "+err.Error(), name)
	}
	return o
}

// Flag is a boolean, false when it is absent.
func (r *Reader) Flag(name string) bool {
	v := r.Value(name)
	switch v.Kind() {
	case 't':
		return true
	case 0, 'f':
	default:
		r.Fail("%s must be true or false, not "+KindOf(v), name)
	}
	return false
}

// Fail keeps the first problem; format holds one %s, for a name of ours.
func (r *Reader) Fail(format, name string) {
	if r.Err == nil {
		r.Err = errors.New(strings.Replace(format, "%s", name, 1))
	}
}

// Text returns the string that v is.
func Text(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err == nil
}

// Texts is a list of strings, nil when it is absent.
func (r *Reader) Texts(name string) []string {
	v := r.Value(name)
	if v == nil {
		return nil
	}
	if v.Kind() != '[' {
		r.Fail("%s must be a list of strings, not "+KindOf(v), name)
		return nil
	}
	out := []string{}
	for item := range items(v) {
		s, ok := Text(item)
		if !ok {
			r.Fail("%s must be a list of strings", name)
		}
		out = append(out, s)
	}
	return out
}

// items walks a list that CheckJSON has accepted.
func items(raw jsontext.Value) func(yield func(jsontext.Value) bool) {
	return func(yield func(jsontext.Value) bool) {
		dec := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true))
		if _, err := dec.ReadToken(); err != nil {
			return
		}
		for dec.PeekKind() != ']' {
			val, err := dec.ReadValue()
			if err != nil {
				return
			}
			end := int(dec.InputOffset())
			if !yield(raw[end-len(val) : end : end]) {
				return
			}
		}
	}
}
