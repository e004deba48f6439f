package lint

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// kind says what a text has to do with the path of a call.
type kind int

const (
	unrelated kind = iota
	whole          // a path, or a path below another
	segment        // one segment of a path
	altered        // made from a path, so that several paths come to the same text
)

// paths are the fields of the input that hold a path; segments those that hold segments.
func paths() []string {
	return []string{"input.resource.path", "input.resource.relative", "input.args.values.path", "input.args.values.prefix"}
}

func segments() []string {
	return []string{"input.resource.segments", "input.resource.relative_segments"}
}

// isPath reports whether a term is a path or a text that is made from one.
func (n *names) isPath(t *ast.Term) bool {
	k := n.kind(t, deep)
	return k == whole || k == altered
}

// kind is the kind of a term.
func (n *names) kind(t *ast.Term, left int) kind {
	if left == 0 {
		return unrelated
	}
	switch v := t.Value.(type) {
	case ast.Call:
		return n.made(v, left)
	case ast.Var:
		return n.kindOfVar(v, t, left)
	case ast.Ref:
		return n.kindOfRef(v, t, left)
	case *ast.TemplateString:
		for _, p := range v.Parts {
			if part, ok := p.(*ast.Term); ok {
				if k := n.kind(part, left-1); k != unrelated {
					return k
				}
			}
		}
	}
	return unrelated
}

func (n *names) kindOfRef(v ast.Ref, t *ast.Term, left int) kind {
	if c, ok := v[0].Value.(ast.Call); ok {
		return n.element(ast.NewTerm(c), left-1)
	}
	p, ok := n.path(t, left)
	switch name := p.String(); {
	case !ok:
		return unrelated
	case slices.Contains(paths(), name):
		return whole
	case len(p) > 3:
		return listed(p[:3])
	case len(v) == 2:
		return n.element(v[0], left-1)
	}
	return unrelated
}

// listed is the kind of the elements of a field.
func listed(p ast.Ref) kind {
	switch name := p.String(); {
	case name == "input.resource.ancestors":
		return whole
	case slices.Contains(segments(), name):
		return segment
	}
	return unrelated
}

func (n *names) kindOfVar(v ast.Var, t *ast.Term, left int) kind {
	if p, ok := n.path(t, left); ok && slices.Contains(paths(), p.String()) {
		return whole
	}
	for _, s := range n.sources(v) {
		k := unrelated
		if s.elements {
			k = s.in.element(s.term, left-1)
		} else if !s.term.Equal(t) {
			k = s.in.kind(s.term, left-1)
		}
		if k != unrelated {
			return k
		}
	}
	return unrelated
}

// element is the kind of the elements of a list.
func (n *names) element(list *ast.Term, left int) kind {
	if left <= 0 {
		return unrelated
	}
	if p, ok := n.path(list, left); ok && len(p) == 3 && listed(p) != unrelated {
		return listed(p)
	}
	switch v := list.Value.(type) {
	case ast.Call:
		return n.parts(v, left)
	case ast.Var:
		for _, s := range n.sources(v) {
			if k := s.in.element(s.term, left-1); k != unrelated && !s.elements {
				return k
			}
		}
	}
	return unrelated
}

// parts is the kind of the elements of the list that a call makes.
func (n *names) parts(c ast.Call, left int) kind {
	switch name := c[0].String(); name {
	case "split", "regex.split":
		k := n.kind(c[1], left-1)
		if name == "regex.split" {
			k = n.kind(c[2], left-1)
		}
		switch {
		case k == whole && c[2].Equal(ast.StringTerm("/")):
			return segment
		case k != unrelated:
			return altered
		}
	case "array.slice", "array.reverse":
		return n.element(c[1], left-1)
	}
	return unrelated
}

// made is the kind of the text that a call makes.
func (n *names) made(c ast.Call, left int) kind {
	name := c[0].String()
	if !isBuiltin(name) {
		return n.result(c, left)
	}
	if len(c) < 2 {
		return unrelated
	}
	k := n.kind(c[1], left-1)
	switch name {
	case "lower", "upper", "substring", "replace", "strings.reverse", "trim_suffix", "trim_space":
	case "trim", "trim_left", "trim_right":
		if c[2].Equal(ast.StringTerm("/")) {
			return k
		}
	case "trim_prefix":
		if texts, known := n.texts(c[2], deep); known && !slices.ContainsFunc(texts, unended) {
			return k
		}
	case "strings.replace_n", "regex.replace":
		k = n.kind(c[2], left-1)
		if name == "regex.replace" {
			k = n.kind(c[1], left-1)
		}
	case "sprintf", "concat":
		return n.joined(c, left)
	default:
		return unrelated
	}
	if k != unrelated {
		return altered
	}
	return unrelated
}

// unended reports whether a prefix ends within a segment.
func unended(s string) bool { return s != "" && s[len(s)-1] != '/' }

// joined is the kind of a text that is put together. With slashes between its parts it is a
// path again.
func (n *names) joined(c ast.Call, left int) kind {
	k := n.element(c[2], left)
	if list, ok := c[2].Value.(*ast.Array); ok {
		for i := range list.Len() {
			if e := n.kind(list.Elem(i), left-1); e != unrelated {
				k = e
			}
		}
	}
	if k == segment && c[0].String() == "concat" && c[1].Equal(ast.StringTerm("/")) {
		return whole
	}
	return k
}

// result is the kind of what a function of the teams returns.
func (n *names) result(c ast.Call, left int) kind {
	for _, r := range n.linter.called(n, c[0]) {
		for ; r != nil; r = r.Else {
			in := n.linter.namesOf(n.linter.modules[r], r)
			if r.Head.Value == nil || len(r.Head.Args) != len(c)-1 {
				continue
			}
			if k := in.kind(r.Head.Value, left-1); k != unrelated {
				return k
			}
		}
	}
	return unrelated
}

// called are the rules of teams that a name or reference is to.
func (l *linter) called(n *names, t *ast.Term) []*ast.Rule {
	v, isVar := t.Value.(ast.Var)
	if ref, ok := t.Value.(ast.Ref); ok && len(ref) == 1 {
		v, isVar = ref[0].Value.(ast.Var)
	}
	if isVar && n.imported(v) == nil {
		return l.rules[ruleName(n.module.Package.Path, string(v))]
	}
	p, ok := n.path(t, deep)
	if !ok || len(p) < 5 || !p[0].Equal(ast.DefaultRootDocument) {
		return nil
	}
	name, _ := p[4].Value.(ast.String)
	return l.rules[ruleName(p[:4], string(name))]
}

// beginning looks at comparisons with the beginning of a path, however they are written: a
// beginning that ends within a segment is that of other paths as well.
func (l *linter) beginning(n *names, at *ast.Location, name string, args []*ast.Term) {
	switch name {
	case "startswith", "strings.any_prefix_match", "regex.match":
		l.prefix(n, at, name, args)
	case "glob.match":
		if texts, _ := n.texts(args[0], deep); n.isPath(args[2]) && slices.ContainsFunc(texts, opened) {
			l.boundary(at)
		}
	case "equal", "eq", "neq", "internal.member_2":
		for i := range args {
			l.cut(n, at, name, [2]*ast.Term{args[i], args[1-i]})
		}
	}
}

// opened reports whether a pattern ends in a star within a segment.
func opened(pattern string) bool {
	s := strings.TrimRight(pattern, "*")
	return s != "" && s != pattern && !strings.ContainsRune("/-.", rune(s[len(s)-1]))
}

// cut looks at the comparison of what is cut out of a path: its first bytes, where a text
// lies in it, or what is left without a prefix.
func (l *linter) cut(n *names, at *ast.Location, op string, sides [2]*ast.Term) {
	t, other := sides[0], sides[1]
	for _, s := range n.calls(t) {
		c := s.term.Value.(ast.Call)
		if !s.in.isPath(c[1]) {
			continue
		}
		texts, known := n.texts(other, deep)
		switch c[0].String() {
		case "substring":
			if c[2].Equal(ast.IntNumberTerm(0)) && (!known || slices.ContainsFunc(texts, unended)) {
				l.boundary(at)
			}
		case "trim_prefix":
			if n.isPath(other) && op != "internal.member_2" && s.in.kind(s.term, deep) == altered {
				l.boundary(at)
			}
		case "indexof":
			looked, known := s.in.texts(c[2], deep)
			if other.Equal(ast.IntNumberTerm(0)) && (!known || slices.ContainsFunc(looked, unended)) {
				l.boundary(at)
			}
		}
	}
}

// calls are the calls of built-in functions that a term stands for.
func (n *names) calls(t *ast.Term) (out []source) {
	list := []source{{term: t, in: n}}
	if v, ok := t.Value.(ast.Var); ok {
		list = n.sources(v)
	}
	for _, s := range list {
		if c, ok := s.term.Value.(ast.Call); ok && !s.elements && len(c) > 2 && isBuiltin(c[0].String()) {
			out = append(out, s)
		}
	}
	return out
}

func (l *linter) boundary(at *ast.Location) {
	l.add(at, "prefix-boundary", "the prefix check also matches siblings: team10/x starts with team1",
		`write "team1" in input.resource.ancestors, which compares whole segments`)
}
