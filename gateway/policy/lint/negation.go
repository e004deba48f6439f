package lint

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/policy/document"
)

// hasSafeNot reports whether the module's `not` is true when an operand is
// missing: rego.v2, or the keyword from future.
func hasSafeNot(m *ast.Module) bool {
	for _, i := range m.Imports {
		switch i.Path.String() {
		case "rego.v2", "future.keywords.not":
			return true
		}
	}
	return false
}

// negation checks a `not` of Rego v1. Its operands are worked out before it: one
// that is missing, or a function in it that fails, skips the rule instead of
// making the `not` true, and a deny rule that is skipped allows.
func (l *linter) negation(n *names, e *ast.Expr) {
	const cure = "put `import rego.v2` at the top of the file, and write input.… inside the `not`"
	if t, ok := e.Terms.(*ast.Term); ok {
		if ref, ok := t.Value.(ast.Ref); ok {
			l.negatedRef(n, e, ref, cure)
			return
		}
	}
	if slices.ContainsFunc(e.Operands(), func(t *ast.Term) bool { return n.readsInput(t, deep) }) {
		l.add(e.Location, "v1-not", "a `not` of Rego v1 over the input: the rule is skipped, so it allows, when the field is missing", cure)
	}
	if name := nestedCall(e); name != "" {
		l.add(e.Location, "lax-negation", "a `not` of Rego v1 over "+name+", which can fail: the rule is then skipped, so it allows", cure)
	}
}

// negatedRef allows `not input.x`, which holds when it is missing, but not a
// reference that has another inside.
func (l *linter) negatedRef(n *names, e *ast.Expr, ref ast.Ref, cure string) {
	for _, t := range ref[1:] {
		if n.readsInput(t, deep) {
			l.add(e.Location, "v1-not", "a `not` of Rego v1 over a lookup with an input field: the rule is skipped, so it allows, when the field is missing", cure)
			return
		}
	}
}

// mayLack reports whether a reference is to a field that not every input has: a value of
// an argument, a claim, or who acts for whom.
func mayLack(p ast.Ref) bool {
	return len(below(p, "input.args.values", "input.principal.on_behalf_of", "input.principal.claims")) > 0
}

// below is the first of some references that another one goes into.
func below(p ast.Ref, refs ...string) ast.Ref {
	for _, s := range refs {
		if r := ast.MustParseRef(s); len(p) > len(r) && p.HasPrefix(r) {
			return r
		}
	}
	return nil
}

// never warns of a `not` of a field that is always there: whatever is in it, null and
// the empty text included, it is not false, so the rule never speaks.
func (l *linter) never(n *names, e *ast.Expr) {
	t, ok := e.Terms.(*ast.Term)
	if !ok {
		return
	}
	p, ok := n.path(t, deep)
	if !ok || !p[0].Equal(ast.InputRootDocument) || len(p) == 1 || !constant(p) || mayLack(p) {
		return
	}
	field := strings.TrimPrefix(p.String(), "input.")
	if kind, _ := document.TypeOf(strings.Split(field, ".")); kind != "boolean" && document.HasField(field) {
		l.warn(e.Location, "never", "`not "+p.String()+"` never holds: the field is always there, if need be as null or empty", "compare it, as "+p.String()+" == \"\" or == null")
	}
}

// nestedCall names a function that is called inside a negated expression.
func nestedCall(e *ast.Expr) string {
	name := ""
	ast.WalkTerms(e, func(t *ast.Term) bool {
		if c, ok := t.Value.(ast.Call); ok && name == "" {
			name = c[0].String()
		}
		return false
	})
	return name
}
