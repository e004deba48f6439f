package failclosed

import (
	"errors"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// At most sampled of the inputs are spoilt field by field, and one in sampled where few are
// tried; paired by pairs of fields.
const (
	sampled = 8
	paired  = 3
)

// whole: an input that is not whole never gets to the policy.
func (r *runner) whole() {
	in := rawOf(corpus(data.Data{}, r.Ops)[0])
	for _, path := range fields(in) {
		for _, c := range changes()[:3] {
			r.count("whole")
			spoilt := in.along(path)
			c.apply(spoilt, path)
			nullable := c.name == "null" && slices.Contains([]string{"on_behalf_of", "relative", "age_s", "created_s", "metadata"}, path[len(path)-1])
			if r.isWhole(spoilt) == nil && !nullable {
				r.fail("whole", nil, "an input whose "+strings.Join(path, ".")+" is "+c.name+" is taken for whole", "repair schema/input.json")
			}
		}
	}
}

// run tries everything on one of so many inputs. What the embedded rules alone decide is
// tried on the corpus, and in a whole run on everything.
func (t *trial) run(of int) {
	if t.err != nil {
		t.failed(t.in, t.err)
		t.forgiving(t.in, t.err)
	}
	if t.number < t.corpus || t.Pairs {
		t.unknown(t.in)
		t.sibling(t.in, t.out)
	}
	if t.number < t.corpus || t.Pairs || t.number%unindexed == 0 {
		t.indexed(t.in, t.out)
	}
	t.team(t.in, t.out, t.without)
	if t.number < t.corpus || t.scoped {
		t.scopes(t.in, t.out)
	}
	if t.spoil {
		t.fields(t.in)
	}
	if t.Pairs && t.number%max(1, of/paired) == 0 {
		t.pairs(t.in)
	}
}

// sampled is how many inputs of a kind are spoilt.
func (s Suite) sampled() int {
	if s.Limit == 0 {
		return sampled
	}
	return min(max(1, s.Limit/sampled), sampled)
}

// nearly reports whether a call that is denied is nearly allowed: only a team's rule
// stands in the way, or the data grant the resource by its very name. Some of each
// are spoilt, as they have the most to lose.
func (r *runner) nearly(in raw, alone document.Output) bool {
	if alone.Allow && r.refused < r.sampled() {
		r.refused++
		return true
	}
	text := func(p ...string) string { s, _ := at(in, p).(string); return s }
	c := &call.Caller{Subject: text("principal", "id"), Tenant: text("principal", "tenant")}
	granted := r.Program.Granted(c, text("action", "engine"))
	if r.near >= r.sampled() || !slices.Contains(granted, text("resource", "path")) {
		return false
	}
	r.near++
	return true
}

// patience is how often an evaluation may run out of time before it counts as slow:
// a probe has many times the time of a decision, and still the machine may be busy.
const patience = 3

// timed evaluates the policy on one input. No input takes longer than calls have time.
func (r *runner) timed(in raw) (out document.Output, err error) {
	for range patience {
		if out, err = r.full(r.ctx, r.base.value(in)); !errors.Is(err, program.ErrTimeout) {
			return out, err
		}
	}
	r.fail("slow", r.slowest(in), "the policy runs out of time on "+describe(in)+", which refuses the call",
		"look things up by a key, and keep comprehensions and ranges short")
	return out, err
}

// slowest is the first rule of the package that runs out of time by itself.
func (r *runner) slowest(in raw) *ast.Location {
	for _, m := range r.Program.TeamModules() {
		for _, rule := range m.Rules {
			if rule.Head.RuleKind() == ast.MultiValue && r.Program.TimesOut(r.ctx, m.Package.Path.String(), r.base.value(in)) {
				return rule.Location
			}
		}
	}
	return nil
}

// failed: a well-typed input never makes the evaluation fail.
func (r *runner) failed(in raw, err error) {
	var at *ast.Location
	if e, ok := errors.AsType[*topdown.Error](err); ok {
		at = e.Location
	}
	r.fail("error", at, "the policy fails on "+describe(in)+", which denies the call: "+err.Error(),
		"check the value before it is used, as with is_number, or give rules that can disagree a set")
}

// unknown: what the gateway does not know is denied.
func (r *runner) unknown(in raw) {
	for _, l := range []literal{
		{[]string{"action", "engine"}, "conformance"},
		{[]string{"action", "effect"}, "conformance"},
		{[]string{"principal", "tenant"}, "conformance-unknown"},
	} {
		r.count("unknown")
		if l.path[0] == "principal" && !named(in) || l.path[1] == "effect" && at(in, []string{"action", "public"}) == true {
			continue // what needs no grant or no scope needs no table either
		}
		if r.allows(r.full, in.with(l)) {
			r.fail("unknown", nil, "an unknown "+strings.Join(l.path, ".")+" is allowed on "+describe(in), "deny by default")
		}
	}
	if !r.Build {
		return
	}
	r.count("no-data")
	if named(in) && r.allows(r.nothing, in) {
		r.fail("no-data", nil, "allowed without any data: "+describe(in), "grant by data alone")
	}
}

// named reports whether the resource needs a grant by name.
func named(in raw) bool {
	path := at(in, []string{"resource", "path"})
	engine, _ := at(in, []string{"action", "engine"}).(string)
	prefix := at(in, []string{"principal", "prefix"})
	ancestors, _ := at(in, []string{"resource", "ancestors"}).([]any)
	own := engine == "kv" && slices.Contains(ancestors, prefix)
	return !op.NeedsNoGrant(engine) && path != "" && !own
}

// sibling: what lies beside an allowed resource is not allowed with it.
func (r *runner) sibling(in raw, out document.Output) {
	r.count("sibling")
	if !out.Allow || out.PathPrefix == "" {
		return
	}
	if beside := in.with(literal{[]string{"resource", "path"}, out.PathPrefix + "0/x"}); r.allows(r.full, beside) {
		if again := r.answer(r.full, beside); !within(out.PathPrefix+"0/x", again.PathPrefix) {
			r.fail("sibling", nil, "a sibling is allowed: "+describe(beside), "compare whole segments, with input.resource.ancestors")
		}
	}
}

// within reports whether a path is a prefix or lies below it, by whole segments: what
// lies beside one grant may well be below another.
func within(path, prefix string) bool {
	return prefix != "" && strings.HasPrefix(path+"/", prefix+"/")
}

// unindexed says that of so many inputs that rules of teams have a say in, one is
// tried without the rule index, which takes the longer the more rules there are.
const unindexed = 16

// indexed: the rule index changes no answer.
func (r *runner) indexed(in raw, out document.Output) {
	r.count("variants")
	if slow := r.answer(r.slow, in); slow.Allow != out.Allow {
		r.fail("indexed", r.where(slow, out), "the answer depends on the rule index on "+describe(in), "compare values of one type alone")
	}
}

// forgiving: where strict errors deny, lax ones do not allow. Without an error there is
// no difference between the two.
func (r *runner) forgiving(in raw, err error) {
	if !r.allows(r.lax, in) {
		return
	}
	loc := r.anywhere()
	if e, ok := errors.AsType[*topdown.Error](err); ok && e.Location != nil {
		loc = e.Location
	}
	r.fail("lax", loc, "a function that fails switches the rule off, which allows "+describe(in),
		"put `import rego.v2` at the top, and check the value before it is used")
}

// team: rules that were added only take away.
func (r *runner) team(in raw, out, alone document.Output) {
	r.count("team")
	if out.Allow && !alone.Allow {
		r.fail("monotonic", r.anywhere(), "rules that were added allow "+describe(in), "only subtract, in policy.deny.<team>")
	}
	if out.Allow && looser(out.Obligations, alone.Obligations) {
		r.fail("obligations", r.anywhere(), "obligations that were added loosen those of "+describe(in), "only add, in policy.obligations.<team>")
	}
}

// looser reports whether a asks less than b.
func looser(a, b document.Obligations) bool {
	masked := func(o document.Obligations) bool { return o.Masked || o.Deliver == "masked" }
	less := func(x, y []string) bool {
		return y != nil && (x == nil || slices.ContainsFunc(x, func(f string) bool { return !slices.Contains(y, f) }))
	}
	longer := func(x, y int) bool { return y > 0 && (x == 0 || x > y) }
	kept := func(t document.Transform) bool {
		return slices.ContainsFunc(a.Transforms, func(u document.Transform) bool { return u.Name == t.Name })
	}
	return masked(b) && !masked(a) || b.Deliver == "wrapped" && a.Deliver != "wrapped" || less(a.Fields, b.Fields) ||
		a.MinTTLS < b.MinTTLS || a.MinWrapTTLS < b.MinWrapTTLS || longer(a.MaxTTLS, b.MaxTTLS) || longer(a.WrapTTLS, b.WrapTTLS) ||
		b.Approval != nil && a.Approval == nil ||
		slices.ContainsFunc(b.Transforms, func(t document.Transform) bool { return !kept(t) })
}

// scopes: fewer scopes never allow more.
func (r *runner) scopes(in raw, out document.Output) {
	if out.Allow {
		return
	}
	list, _ := at(in, []string{"principal", "scopes"}).([]any)
	for i := range len(list) + 1 {
		r.count("scopes")
		fewer := []any{}
		if i < len(list) {
			fewer = slices.Delete(slices.Clone(list), i, i+1)
		}
		less := in.along([]string{"principal", "scopes"})
		set(less, []string{"principal", "scopes"}, fewer)
		if again := r.answer(r.full, less); again.Allow {
			r.fail("scopes", r.where(out, again), "fewer scopes allow "+describe(in), "never deny because of a scope that is there")
		}
	}
}
