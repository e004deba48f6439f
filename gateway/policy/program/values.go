package program

import (
	"reflect"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// converter turns decoded data into the evaluator's values. Large tables say the same over
// and over, as names of engines and lists of operations; such values are there once, which
// halves the time and the memory that they take.
type converter struct {
	texts map[string]*ast.Term
	lists map[string]*ast.Term
	maps  map[uintptr]*ast.Term // by where the map is: one that stands in many places is one value
	empty *ast.Term
	pairs [][2]*ast.Term // of the objects that are being made, the innermost last
}

// Bounds of what is kept to be used again: a name that is long is seldom said twice.
const (
	maxShared     = 4096 // values of a kind
	maxSharedText = 64   // bytes
	// names of a table: those that are made once for many places are short
	maxSharedNames = 4
)

// storedObject is the data in the form that the evaluator reads.
func storedObject(data map[string]any) ast.Object {
	c := &converter{texts: map[string]*ast.Term{}, lists: map[string]*ast.Term{}, maps: map[uintptr]*ast.Term{}, empty: ast.ObjectTerm()}
	return c.object(data)
}

func (c *converter) object(m map[string]any) ast.Object {
	start := len(c.pairs)
	for k, v := range m {
		pair := [2]*ast.Term{c.text(k), c.term(v)}
		c.pairs = append(c.pairs, pair)
	}
	out := ast.NewObject(c.pairs[start:]...) // which keeps the terms, and not the list
	c.pairs = c.pairs[:start]
	return out
}

func (c *converter) term(v any) *ast.Term {
	switch v := v.(type) {
	case string:
		return c.text(v)
	case map[string]any:
		return c.table(v)
	case []any:
		return c.list(v)
	}
	return ast.NewTerm(ast.MustInterfaceToValue(v)) // a number, a boolean or null
}

func (c *converter) table(m map[string]any) *ast.Term {
	if len(m) == 0 {
		return c.empty
	}
	where := reflect.ValueOf(m).Pointer()
	if t, ok := c.maps[where]; ok {
		return t
	}
	t := ast.NewTerm(c.object(m))
	if len(m) <= maxSharedNames && len(c.maps) < maxShared {
		c.maps[where] = t
	}
	return t
}

func (c *converter) text(s string) *ast.Term {
	if t, ok := c.texts[s]; ok {
		return t
	}
	t := ast.StringTerm(s)
	if len(s) <= maxSharedText && len(c.texts) < maxShared {
		c.texts[s] = t
	}
	return t
}

func (c *converter) list(list []any) *ast.Term {
	key, shared := sharedKey(list)
	if t, ok := c.lists[key]; ok && shared {
		return t
	}
	terms := make([]*ast.Term, len(list))
	for i, v := range list {
		terms[i] = c.term(v)
	}
	t := ast.ArrayTerm(terms...)
	if shared && len(c.lists) < maxShared {
		c.lists[key] = t
	}
	return t
}

// sharedKey tells a short list of texts from every other.
func sharedKey(list []any) (key string, ok bool) {
	var b strings.Builder
	for _, v := range list {
		s, text := v.(string)
		if !text || strings.IndexByte(s, 0) >= 0 || b.Len()+len(s) > maxSharedText {
			return "", false
		}
		b.WriteString(s)
		b.WriteByte(0)
	}
	return b.String(), true
}
