package document

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// Value is the input as the evaluator takes it. It is built by hand, which costs
// a quarter of a conversion through maps.
func (in *Input) Value() ast.Value {
	return object(
		number("v", in.V),
		item("request", object(
			str("id", in.Request.ID),
			str("transport", in.Request.Transport),
			str("phase", in.Request.Phase))),
		item("principal", in.Principal.value()),
		item("action", object(
			str("op", in.Action.Op),
			str("engine", in.Action.Engine),
			str("effect", in.Action.Effect),
			item("public", ast.Boolean(in.Action.Public)))),
		item("resource", object(
			str("mount", in.Resource.Mount),
			str("path", in.Resource.Path),
			list("ancestors", in.Resource.Ancestors),
			number("version", in.Resource.Version))),
		item("args", object(
			list("keys", in.Args.Keys),
			number("bytes", in.Args.Bytes),
			item("values", values(in.Args.Values)))),
		item("context", object(
			item("time", object(
				number("unix_s", int(in.Context.Time.UnixS)),
				str("weekday", in.Context.Time.Weekday),
				number("hour_utc", in.Context.Time.HourUTC))),
			str("source_ip", in.Context.SourceIP))),
	)
}

func (p *Principal) value() ast.Value {
	var actor ast.Value = ast.NullValue
	if p.OnBehalfOf != nil {
		actor = object(str("id", p.OnBehalfOf.ID), str("kind", p.OnBehalfOf.Kind))
	}
	return object(
		str("id", p.ID),
		str("kind", p.Kind),
		str("tenant", p.Tenant),
		str("issuer", p.Issuer),
		str("prefix", p.Prefix),
		str("tier", p.Tier),
		list("roles", p.Roles),
		list("scopes", p.Scopes),
		item("on_behalf_of", actor),
		item("auth", object(
			str("method", p.Auth.Method),
			number("age_s", p.Auth.AgeS),
			str("cert_fp", p.Auth.CertFP))),
	)
}

// values converts the arguments only where the policy touches them.
func values(v map[string]any) ast.Value {
	if len(v) == 0 {
		return ast.NewObject()
	}
	return ast.LazyObject(v)
}

type pair = [2]*ast.Term

func object(pairs ...pair) ast.Value { return ast.NewObject(pairs...) }

func item(key string, v ast.Value) pair { return pair{ast.InternedTerm(key), ast.NewTerm(v)} }

func str(key, v string) pair { return pair{ast.InternedTerm(key), ast.InternedTerm(v)} }

func number(key string, v int) pair { return pair{ast.InternedTerm(key), ast.InternedTerm(v)} }

func list(key string, v []string) pair {
	terms := make([]*ast.Term, len(v))
	for i, s := range v {
		terms[i] = ast.InternedTerm(s)
	}
	return item(key, ast.NewArray(terms...))
}
