package lint

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/op"
)

// Values are the texts that a field of the input can be, for the fields that have a
// list of them.
type Values map[string][]string

// FixedValues are those that no catalogue changes (policies/README.md).
func FixedValues() Values {
	return Values{
		"principal.kind":        {"agent", "human", "service"},
		"principal.auth.method": {"api_key", "jwt", "mtls"},
		"request.transport":     {"rest", "mcp", "sse", "stdio", "vault"},
		"request.phase":         {"call", "list", "stream"},
		"action.effect":         {"read", "list", "write", "delete", "issue"},
		"context.time.weekday":  {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"},
	}
}

// valuesOf adds what the catalogue has.
func valuesOf(ops []*op.Op) Values {
	v := FixedValues()
	for _, o := range ops {
		v["action.op"] = append(v["action.op"], o.Name)
		if !slices.Contains(v["action.engine"], o.Engine) {
			v["action.engine"] = append(v["action.engine"], o.Engine)
		}
	}
	return v
}

// compared looks at what a field is compared with: a misspelt operation or day is
// never met, so the rule says nothing, or its exception never holds.
func (l *linter) compared(n *names, at *ast.Location, args []*ast.Term) {
	if len(args) != 2 {
		return
	}
	for i, field := range args {
		p, ok := n.path(field, deep)
		if !ok || !p[0].Equal(ast.InputRootDocument) {
			continue
		}
		allowed := l.values[strings.TrimPrefix(p.String(), "input.")]
		if allowed == nil {
			continue
		}
		texts, _ := n.texts(args[1-i], deep)
		for _, s := range texts {
			if !slices.Contains(allowed, s) && s != "" {
				l.add(at, "value", p.String()+" is never \""+s+"\"", "it is one of "+strings.Join(allowed, ", "))
			}
		}
	}
}
