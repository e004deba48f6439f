package lint

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// What says who calls is compared as a whole, or up to a sign that ends a part of it:
// endswith(email, "example.com") is for x@notexample.com as well. As with paths that is
// warned of where it makes a rule silent.

// identity warns of an exemption by a part of a text that says who calls.
func (x *exemptions) identity(n *names, name string, args []*ast.Term) {
	text, part := args[0], args[1]
	if name == "regex.match" {
		text, part = part, text
	}
	field := n.claimed(text)
	if field == "" {
		return
	}
	texts, known := n.texts(part, deep)
	for _, s := range texts {
		known = known && closed(name, s)
	}
	if known {
		return
	}
	x.warn(text.Location, "identity-part", name+" looks at a part of "+field+", and who has another text around that part is exempt: x@notexample.com, where @example.com is meant, and acme/payroll, where acme/pay is",
		"compare the whole text; or let the part begin or end with the sign that divides it, as @ or /, and a pattern with ^ and $")
}

// claimed is the field of the input that a term is, when it is a text that says who calls
// and that others may choose a part of; else empty.
func (n *names) claimed(t *ast.Term) string {
	ref, ok := n.path(t, deep)
	if !ok {
		return ""
	}
	field := ref.String()
	if isClaim(field) || slices.Contains([]string{"input.principal.id", "input.principal.issuer", "input.principal.acting.id", "input.principal.on_behalf_of.id"}, field) {
		return field
	}
	return ""
}

// isClaim reports whether a field of the input is a claim.
func isClaim(field string) bool {
	for _, of := range []string{"input.principal.claims", "input.principal.on_behalf_of.claims"} {
		if rest, found := strings.CutPrefix(field, of); found && rest != "" {
			return true
		}
	}
	return false
}

// closed reports whether a part of a text ends where the text does, or at a sign.
func closed(name, s string) bool {
	sign := func(c byte) bool { return !isName(c) || c == '-' }
	switch name {
	case "startswith":
		return s != "" && sign(s[len(s)-1])
	case "endswith":
		return s != "" && sign(s[0])
	case "regex.match":
		return (strings.HasPrefix(s, "^") || strings.HasPrefix(s, `\A`)) && (strings.HasSuffix(s, "$") || strings.HasSuffix(s, `\z`)) && !strings.Contains(s, "|")
	}
	return false // contains
}

// ordered warns of a claim that is compared with a number, which speaks less where the claim
// is a text: in Rego every text is greater than every number.
func (x *exemptions) ordered(n *names, operator string, args []*ast.Term, silent bool) {
	for i, t := range args[:min(len(args), 2)] {
		ref, ok := n.path(t, deep)
		if !ok {
			continue
		}
		operator := mirrored(operator, i == 1)
		holds := operator == "gt" || operator == "gte" // for a text
		if _, text := args[1-i].Value.(ast.String); !isClaim(ref.String()) || text || holds != silent || x.asksType(n, t) {
			continue
		}
		x.warn(t.Location, "skipped", ref.String()+" may be a text, and every text is greater than every number, so the rule then says nothing",
			"let is_number("+t.String()+") be a condition of what exempts, or refuse in a rule of its own what is none")
	}
}

// asksType reports whether the module asks whether the term is a number.
func (x *exemptions) asksType(n *names, t *ast.Term) bool {
	return slices.ContainsFunc(n.module.Rules, func(r *ast.Rule) bool { return strings.Contains(r.String(), "is_number("+t.String()+")") })
}
