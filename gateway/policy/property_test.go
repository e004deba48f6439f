package policy_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
	"portcullis/gateway/policy/bundle"
)

// policies is how many random policies each property is tried with, and seed makes others
// of them; `make properties` is the long form.
var (
	policies = flag.Int("policies", 40, "random policies of each property")
	seed     = flag.Uint64("seed", 1, "what random policies come of")
)

// taken gives a policy to engines, whatever checks it would stand.
func (p prover) taken(t testing.TB, b *bundle.Bundle, engines ...*policy.Engine) {
	t.Helper()
	if err := policy.Take(t.Context(), b, engines...); err != nil {
		t.Fatalf("%v\n%s", err, show(b))
	}
}

func show(b *bundle.Bundle) string {
	s := fmt.Sprintf("%v\n", b.Data)
	for _, f := range b.Rules {
		s += string(f.Text) + "\n"
	}
	return s
}

// prover has what every property needs.
type prover struct {
	random
	cat *op.Catalogue
}

func newProver(t testing.TB, property uint64) prover {
	t.Helper()
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	return prover{random{Rand: rand.New(rand.NewPCG(property, *seed))}, cat}
}

func (p prover) bind(t testing.TB, q *op.Request) *op.Bound {
	t.Helper()
	b, err := p.cat.Bind(q)
	if err != nil {
		t.Fatalf("%s %s: %v", q.Op, q.Args, err)
	}
	return b
}

// calls are n random ones.
func (p prover) calls(t testing.TB, n int) (out []*op.Request) {
	t.Helper()
	for range n {
		o := p.one(operations()...)
		q := p.request(p.caller(t), o, p.name(o))
		if p.chance(2) {
			q.Deliver = call.Deliver(p.one("", "plain", "masked", "wrapped"))
			if q.Deliver == call.Wrapped {
				q.WrapTTL = time.Duration(30*(1+p.IntN(4))) * time.Second
			}
		}
		out = append(out, q)
	}
	return out
}

// looser says in what a shows more than b, empty when in nothing.
func looser(a, b op.Decision) string {
	x, y := a.Obligations, b.Obligations
	bound := func(n, m time.Duration) bool { return m > 0 && (n == 0 || n > m) }
	switch {
	case !a.Allow:
		return ""
	case !b.Allow:
		return "it is allowed"
	case y.Masked && !x.Masked:
		return "it is not masked"
	case y.Deliver == call.Wrapped && x.Deliver != call.Wrapped:
		return "it is not wrapped"
	case y.Deliver == call.Masked && x.Deliver == call.Plain:
		return "it is plain"
	case x.Deliver == call.Masked && !x.Masked:
		return "it is called masked, and is not"
	case bound(x.MaxTTL, y.MaxTTL):
		return "it lives longer"
	case x.Deliver == call.Wrapped && y.Deliver == call.Wrapped && bound(x.WrapTTL, y.WrapTTL):
		return "it waits longer"
	case y.Fields != nil && (x.Fields == nil || slices.ContainsFunc(x.Fields, func(f string) bool { return !slices.Contains(y.Fields, f) })):
		return "more fields are shown"
	}
	for _, tr := range y.Transforms {
		if !slices.ContainsFunc(x.Transforms, func(o op.Transform) bool { return reflect.DeepEqual(o, tr) }) {
			return "the transform " + tr.Name + " is not asked for"
		}
	}
	return ""
}

// Whatever is added to a policy, a rule, a duty or a rule in dry run, shows no more.
func TestMoreRulesNeverShowMore(t *testing.T) {
	p := newProver(t, 11)
	p.deep, p.wish = true, true
	before, after := open(t, policy.Config{}), open(t, policy.Config{})
	var base *bundle.Bundle
	tried := tally{}
	for i := range *policies {
		if base == nil || p.chance(3) {
			base = p.policy(3)
			p.taken(t, base, before)
		}
		more := p.more(base, 10+i)
		p.taken(t, more, after)
		for _, q := range p.calls(t, 40) {
			b := p.bind(t, q)
			x, y := after.Decide(t.Context(), b), before.Decide(t.Context(), b)
			if why := looser(x, y); why != "" {
				t.Fatalf("%s of %s on %s: with more rules %s\n%+v\n%+v\n%s", q.Op, q.Caller.Subject, q.Args, why, x, y, show(more))
			}
			tried.count(y.Allow, looser(y, x) != "")
		}
		base, before, after = more, after, before // what is added next comes on top
	}
	if tried.allowed < *policies || tried.tightened < *policies/20 {
		t.Errorf("%+v: the property was hardly tried", tried)
	}
}

// tally counts the calls that a property says something about.
type tally struct{ allowed, tightened int }

func (n *tally) count(allowed, tightened bool) {
	if allowed {
		n.allowed++
	}
	if tightened {
		n.tightened++
	}
}

// more is a policy with one rule more, the nth, and at times a duty that it had not.
func (p prover) more(base *bundle.Bundle, n int) *bundle.Bundle {
	more := &bundle.Bundle{Place: "dir", Data: base.Data, Rules: append(slices.Clone(base.Rules), p.rule(n))}
	if !p.chance(3) {
		return more
	}
	more = through(more)
	duties := more.Data["obligations"].(map[string]any)
	if o := p.one("kv.read", "db.issue_creds", "kv.list"); duties[o] == nil {
		duties[o] = p.duty()
		more = through(more)
	}
	return more
}

// Whatever a caller wishes, it is not shown more than without a wish.
func TestAWishNeverShowsMore(t *testing.T) {
	p := newProver(t, 12)
	e := open(t, policy.Config{})
	allowed := 0
	for range *policies {
		b := p.policy(3)
		p.taken(t, b, e)
		for _, q := range p.calls(t, 20) {
			plain := *q
			plain.Deliver, plain.WrapTTL = "", 0
			without := e.Decide(t.Context(), p.bind(t, &plain))
			for _, wish := range []call.Deliver{call.Plain, call.Masked, call.Wrapped} {
				wished := plain
				wished.Deliver, wished.WrapTTL = wish, time.Duration(p.IntN(2))*time.Minute
				with := e.Decide(t.Context(), p.bind(t, &wished))
				if why := looser(with, without); why != "" {
					t.Fatalf("%s on %s as %q: %s\n%+v\n%+v\n%s", q.Op, q.Args, wish, why, with, without, show(b))
				}
				if with.Allow && wish == call.Wrapped && with.Obligations.Deliver != call.Wrapped || wish == call.Masked && with.Allow && !with.Obligations.Masked {
					t.Fatalf("%s on %s as %q: the wish is not heard: %+v", q.Op, q.Args, wish, with.Obligations)
				}
			}
			if without.Allow {
				allowed++
			}
		}
	}
	if allowed < *policies {
		t.Errorf("only %d calls allowed", allowed)
	}
}

// A decision that was kept is the one that would be made now.
func TestKeptDecisionsAreThoseThatWouldBeMade(t *testing.T) {
	p := newProver(t, 13)
	p.deep, p.wish = true, true
	keeps, asks := open(t, policy.Config{}), open(t, policy.Config{CacheSize: -1})
	kept := 0
	for range *policies {
		b := p.policy(4)
		p.taken(t, b, keeps, asks)
		calls := p.calls(t, 25)
		for range 60 {
			q := *calls[p.IntN(len(calls))]
			if p.chance(3) { // the same call at another time, by another road
				q.Time = at().Add(time.Duration(p.IntN(24*60)) * time.Minute)
				q.Transport = op.Transport(p.one("rest", "mcp"))
			}
			x, y := keeps.Decide(t.Context(), p.bind(t, &q)), asks.Decide(t.Context(), p.bind(t, &q))
			if x.Allow != y.Allow || x.Code != y.Code || x.Tier != y.Tier || x.PathPrefix != y.PathPrefix || !sameObligations(x.Obligations, y.Obligations) || !reflect.DeepEqual(x.Reasons, y.Reasons) {
				t.Fatalf("%s on %s: kept (%v) %+v\nmade %+v\n%s", q.Op, q.Args, x.Cached, x, y, show(b))
			}
			if x.Cached {
				kept++
			}
		}
	}
	if kept < 10**policies {
		t.Errorf("only %d decisions were kept", kept)
	}
}

func sameObligations(a, b op.Obligations) bool {
	slices.Sort(a.Fields)
	slices.Sort(b.Fields)
	byName := func(x, y op.Transform) int { return len(x.Name) - len(y.Name) }
	slices.SortFunc(a.Transforms, byName)
	slices.SortFunc(b.Transforms, byName)
	return reflect.DeepEqual(a, b)
}
