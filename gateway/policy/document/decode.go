package document

import (
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// How many fields the decision has; no object in it has more than maxFields.
const (
	fewestFields = 7
	mostFields   = 8
	maxFields    = mostObligations
)

// fields are an object's fields, and the first that was wrong. They are so few that
// looking through them is faster than asking the object.
type fields struct {
	names  [maxFields]string
	values [maxFields]ast.Value
	n      int
	err    error
}

// fieldsOf wants an object of least to most fields. As each of so many is then asked
// for by name, an unknown one is found by the count.
func fieldsOf(v ast.Value, least, most int) (*fields, error) {
	f := &fields{}
	o, ok := v.(ast.Object)
	if !ok {
		return f, errors.New("not an object")
	}
	if n := o.Len(); n < least || n > most {
		return f, fmt.Errorf("has %d fields, not %d", n, most)
	}
	o.Foreach(func(name, value *ast.Term) {
		s, _ := name.Value.(ast.String) // what is no string has no name
		f.names[f.n], f.values[f.n] = string(s), value.Value
		f.n++
	})
	return f, nil
}

func (f *fields) inner(name string, v ast.Value, least, most int) *fields {
	in, err := fieldsOf(v, least, most)
	if err != nil {
		f.fail(name, err)
	}
	return in
}

// adopt takes over what was wrong inside.
func (f *fields) adopt(name string, in *fields) {
	if in.err != nil {
		f.fail(name, in.err)
	}
}

func (f *fields) fail(name string, err error) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %w", name, err)
	}
}

func (f *fields) get(name string) ast.Value {
	v := f.find(name)
	if v == nil {
		f.fail(name, errors.New("missing"))
	}
	return v
}

// find returns nil for a field that is not there.
func (f *fields) find(name string) ast.Value {
	for i := range f.n {
		if f.names[i] == name {
			return f.values[i]
		}
	}
	return nil
}

func (f *fields) boolean(name string) bool {
	b, ok := f.get(name).(ast.Boolean)
	if !ok {
		f.fail(name, errors.New("not a boolean"))
	}
	return bool(b)
}

func (f *fields) text(name string) string {
	s, ok := f.get(name).(ast.String)
	if !ok {
		f.fail(name, errors.New("not a string"))
	}
	return string(s)
}

// number reads a whole number that is not negative.
func (f *fields) number(name string) int {
	n, ok := f.get(name).(ast.Number)
	i, whole := n.Int()
	if !ok || !whole || i < 0 {
		f.fail(name, errors.New("not a whole number from 0"))
		return 0
	}
	return i
}

func (f *fields) array(name string) *ast.Array {
	a, ok := f.get(name).(*ast.Array)
	if !ok {
		f.fail(name, errors.New("not an array"))
	}
	return a
}

func (f *fields) strings(name string) []string {
	a := f.array(name)
	if a == nil || a.Len() == 0 {
		return nil
	}
	out := make([]string, 0, a.Len())
	a.Foreach(func(t *ast.Term) {
		s, ok := t.Value.(ast.String)
		if !ok {
			f.fail(name, errors.New("not an array of strings"))
		}
		out = append(out, string(s))
	})
	return out
}
