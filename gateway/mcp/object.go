package mcp

import (
	"bytes"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// object is a JSON object whose members have been found once, in their order.
type object []member

type member struct {
	name  string
	value jsontext.Value
}

// readObject finds the members of an object that CheckJSON has accepted. Nothing,
// null and an empty list are an empty object: several languages write one so.
func readObject(raw jsontext.Value) (object, error) {
	switch {
	case isNothing(raw):
		return nil, nil
	case raw.Kind() != '{':
		return nil, errors.New("must be an object, not " + kindOf(raw))
	}
	var o object
	for name, value := range members(raw) {
		o = append(o, member{name, value})
	}
	return o, nil
}

// isNothing reports whether a value where an object is expected says nothing.
func isNothing(raw jsontext.Value) bool {
	return raw == nil || raw.Kind() == 'n' || raw.Kind() == '[' && len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
}

// kindOf names the type of a JSON value for people.
func kindOf(raw jsontext.Value) string {
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

// reader reads the members of an object by their exact names. The first thing that
// is wrong stays; what is read after it is zero.
type reader struct {
	o   object
	err error
}

// value is the member with a name, nil when it is absent or null. A name that
// differs from the one asked for in case alone is refused: somebody else's parser may
// take the one for the other.
func (r *reader) value(name string) (v jsontext.Value) {
	for i := range r.o {
		switch m := &r.o[i]; {
		case m.name == name:
			v = m.value
		case strings.EqualFold(m.name, name):
			r.fail("%s is misspelt: the names of members are case-sensitive", name)
		}
	}
	if v != nil && v.Kind() == 'n' {
		return nil
	}
	return v
}

// optional is a string that need not be there.
func (r *reader) optional(name string) string {
	v := r.value(name)
	if v == nil {
		return ""
	}
	s, ok := text(v)
	if !ok {
		r.fail("%s must be a string, not "+kindOf(v), name)
	}
	return s
}

// text is a string that must be there.
func (r *reader) text(name string) string {
	if r.value(name) == nil {
		r.fail("%s is missing", name)
		return ""
	}
	return r.optional(name)
}

// object is a member that is an object, empty when it is absent.
func (r *reader) object(name string) object {
	o, err := readObject(r.value(name))
	if err != nil {
		r.fail("%s "+err.Error(), name)
	}
	return o
}

// flag is a boolean, false when it is absent.
func (r *reader) flag(name string) bool {
	v := r.value(name)
	switch v.Kind() {
	case 't':
		return true
	case 0, 'f':
	default:
		r.fail("%s must be true or false, not "+kindOf(v), name)
	}
	return false
}

// fail keeps the first problem; format holds one %s, for a name of ours.
func (r *reader) fail(format, name string) {
	if r.err == nil {
		r.err = errors.New(strings.Replace(format, "%s", name, 1))
	}
}

// text returns the string that v is.
func text(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err == nil
}

// texts is a list of strings, nil when it is absent.
func (r *reader) texts(name string) []string {
	v := r.value(name)
	if v == nil {
		return nil
	}
	if v.Kind() != '[' {
		r.fail("%s must be a list of strings, not "+kindOf(v), name)
		return nil
	}
	out := []string{}
	for item := range items(v) {
		s, ok := text(item)
		if !ok {
			r.fail("%s must be a list of strings", name)
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
