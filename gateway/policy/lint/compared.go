package lint

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/document"
)

// atLeast is how many there are at least when a count is compared with a number.
func atLeast(op string, t *ast.Term) int {
	number, ok := t.Value.(ast.Number)
	n, whole := number.Int()
	switch {
	case !ok || !whole:
		return 0
	case op == "gt":
		return n + 1
	case op == "gte" || op == "equal" || op == "eq":
		return n
	case op == "neq" && n == 0:
		return 1
	}
	return 0
}

// mirrored is the operator with its operands the other way round.
func mirrored(op string, swap bool) string {
	turned := map[string]string{"gt": "lt", "lt": "gt", "gte": "lte", "lte": "gte"}
	if swap && turned[op] != "" {
		return turned[op]
	}
	return op
}

// looked adds what object.get looks up when its default would not satisfy the comparison.
func (s *scope) looked(get ast.Call, op string, other *ast.Term, swap bool) {
	path := s.canonical(get[1])
	fallback := get[3]
	if path == nil || !ast.IsConstant(fallback.Value) || !ast.IsConstant(other.Value) || holds(mirrored(op, swap), fallback.Value.Compare(other.Value)) {
		return
	}
	keys := []*ast.Term{get[2]}
	if list, ok := get[2].Value.(*ast.Array); ok {
		keys = nil
		list.Foreach(func(t *ast.Term) { keys = append(keys, t) })
	}
	for _, k := range keys {
		path = append(path[:len(path):len(path)], s.key(k, deep))
	}
	s.facts.add(path)
}

// holds reports whether a comparison may hold for operands of that order.
func holds(op string, order int) bool {
	switch op {
	case "equal", "eq":
		return order == 0
	case "neq":
		return order != 0
	case "gt":
		return order > 0
	case "gte":
		return order >= 0
	case "lt":
		return order < 0
	case "lte":
		return order <= 0
	}
	return true
}

// notNull adds the fields of what may be null and is not.
func (s *scope) notNull(t *ast.Term) {
	path := s.canonical(t)
	if len(path) < 2 || path[0] != "input" {
		return
	}
	fields, _ := document.FieldsOf(strings.Join(path[1:], "."))
	for _, f := range fields {
		s.facts.add(append(path[:len(path):len(path)], f))
	}
}
