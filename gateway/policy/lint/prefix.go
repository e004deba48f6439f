package lint

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// prefix wants a path prefix to end on a segment boundary, however it is written.
func (l *linter) prefix(n *names, at *ast.Location, name string, args []*ast.Term) {
	path := 0
	if name == "regex.match" {
		path = 1
	}
	if len(args) != 2 || !n.isPath(args[path]) {
		return
	}
	if texts, known := n.texts(args[1-path], deep); known && ended(name, texts) {
		return
	} else if !known && name == "regex.match" {
		return
	}
	l.boundary(at)
}

// ended reports whether every text ends where a segment does, or for a pattern
// whether none is a bare prefix.
func ended(name string, texts []string) bool {
	for _, s := range texts {
		if name == "regex.match" {
			s = strings.TrimSuffix(strings.TrimSuffix(s, "*"), ".")
			if strings.HasPrefix(s, "^") && strings.Contains(s, "/") && isName(s[len(s)-1]) && !strings.HasSuffix(s, `\z`) {
				return false
			}
			continue
		}
		if s != "" && s[len(s)-1] != '/' {
			return false
		}
	}
	return true
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// texts are the texts that a term can be; of one that is put together, its end.
func (n *names) texts(t *ast.Term, left int) (out []string, known bool) {
	switch v := t.Value.(type) {
	case ast.String:
		return []string{string(v)}, true
	case ast.Set:
		return n.all(v.Slice(), left)
	case *ast.Array:
		var list []*ast.Term
		v.Foreach(func(t *ast.Term) { list = append(list, t) })
		return n.all(list, left)
	case ast.Call:
		return n.ending(v, left)
	case *ast.TemplateString:
		if last, ok := v.Parts[len(v.Parts)-1].(*ast.Term); ok && len(v.Parts) > 0 {
			return n.texts(last, left)
		}
	case ast.Var:
		return n.either(v, left)
	case ast.Ref:
		return n.inData(t)
	}
	return nil, false
}

// inData are the texts of a document of the data, or of a list there.
func (n *names) inData(t *ast.Term) (out []string, known bool) {
	p, ok := n.path(t, deep)
	if !ok || !constant(p) || !n.linter.isData(p) {
		return nil, false
	}
	switch v := valueAt(n.linter.data, p).(type) {
	case string:
		return []string{v}, true
	case []any:
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, false
			}
			out = append(out, s)
		}
		return out, len(out) > 0
	}
	return nil, false
}

// either are the texts of everything that a variable can be.
func (n *names) either(v ast.Var, left int) (out []string, known bool) {
	if left == 0 {
		return nil, false
	}
	for _, s := range n.sources(v) {
		more, ok := s.in.texts(s.term, left-1)
		if !ok {
			return nil, false
		}
		out, known = append(out, more...), true
	}
	return out, known
}

func (n *names) all(list []*ast.Term, left int) (out []string, known bool) {
	for _, t := range list {
		more, ok := n.texts(t, left)
		if !ok {
			return nil, false
		}
		out = append(out, more...)
	}
	return out, true
}

// ending is the end of what sprintf and concat make.
func (n *names) ending(c ast.Call, left int) ([]string, bool) {
	if len(c) != 3 {
		return nil, false
	}
	first, ok := n.texts(c[1], left)
	if !ok || len(first) != 1 {
		return nil, false
	}
	switch c[0].String() {
	case "sprintf":
		return first, true
	case "concat":
		list, ok := c[2].Value.(*ast.Array)
		if !ok || list.Len() == 0 {
			return nil, false
		}
		last, ok := n.texts(list.Elem(list.Len()-1), left)
		if ok && len(last) == 1 && last[0] == "" {
			return first, true
		}
		return last, ok
	}
	return nil, false
}
