package document

import (
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// fields reads an object's fields and remembers the first that is wrong.
type fields struct {
	obj ast.Object
	err error
}

// fieldsOf wants an object of n fields. As each of the n is then asked for by
// name, an unknown one is found by the count.
func fieldsOf(v ast.Value, n int) (*fields, error) {
	o, ok := v.(ast.Object)
	if !ok {
		return &fields{}, errors.New("not an object")
	}
	if o.Len() != n {
		return &fields{}, fmt.Errorf("has %d fields, not %d", o.Len(), n)
	}
	return &fields{obj: o}, nil
}

func (f *fields) inner(name string, v ast.Value, n int) *fields {
	in, err := fieldsOf(v, n)
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
	if f.obj != nil {
		if t := f.obj.Get(ast.InternedTerm(name)); t != nil {
			return t.Value
		}
	}
	f.fail(name, errors.New("missing"))
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
