package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy"
	"portcullis/gateway/policy/bundle"
)

// names are all that a call of an operation may act on, as far as a policy over the
// names of this test can tell them apart.
func (p prover) names(operation string) []string {
	switch engine, _, _ := strings.Cut(operation, "."); engine {
	case "kv":
		var out []string
		for _, base := range []string{"", "mcp/ann/", "mcp/bob/", "mcp/eve/", "mcp/", "shared/", "t/", "zz/", "a/"} {
			for _, first := range []string{"a", "b", "a1", "shared", "ann", "zz", "t", "x-r"} {
				for _, second := range []string{"", "/a", "/b", "/a1", "/shared", "/zz", "/ann", "/zz/a", "/shared/zz"} {
					out = append(out, base+first+second)
				}
			}
		}
		return append(out, "mcp", "mcp/ann", "mcp/bob", "mcp/eve", "")
	case "transit": // those that rules name for secrets as well
		return []string{"k", "k1", "k2", "ann", "bob", "eve", "zz", "a", "b", "a1", "shared"}
	case "db":
		return []string{"ro", "rw", "r", "ann", "x", "zz", "a", "b", "a1", "shared"}
	}
	return []string{""}
}

// witness is a call of the operation that passes, nil when none of all does.
func (p prover) witness(t testing.TB, e *policy.Engine, c *call.Caller, o string, transport op.Transport, b *bundle.Bundle) *op.Request {
	t.Helper()
	rules := show(b)
	either := func(word, value string) []string {
		if strings.Contains(rules, word) {
			return []string{"", value}
		}
		return []string{""} // no rule can tell
	}
	more := []bool{false}
	if o == "kv.read" || o == "kv.delete" { // alone have arguments more, see arguments
		more = []bool{false, true}
	}
	blind := blindRules(b)
	for _, name := range p.names(o) {
		for i, q := range said(o, name, more, either("client.name", "good"), either("request.reason", "INC-1")) {
			q.ID, q.Caller, q.Time, q.Transport = "r", c, at(), transport
			b, err := p.cat.Bind(q)
			if err != nil {
				continue
			}
			d := e.Decide(t.Context(), b)
			if d.Allow {
				return q
			}
			if slices.ContainsFunc(d.Reasons, func(r op.Reason) bool { return blind[r.Rule] }) {
				return nil
			}
			if i == 0 && notGranted(d) {
				break // whatever else is said: grants and scopes do not look at it
			}
		}
	}
	return nil
}

// blindRules are those, of teams that are heard everywhere, that look at nothing in which
// the calls of an operation by one caller differ: what one refuses, it refuses always.
func blindRules(b *bundle.Bundle) map[string]bool {
	out := map[string]bool{}
	for i, f := range b.Rules {
		text := string(f.Text)
		if b.Data["teams"].(map[string]any)[fmt.Sprintf("t%d", i%2)] != nil {
			continue
		}
		if !slices.ContainsFunc([]string{"resource", "args", "client", "reason", "destructive"}, func(word string) bool { return strings.Contains(text, word) }) {
			out[fmt.Sprintf("r%d", i)] = true
		}
	}
	return out
}

// said are calls on a named thing that differ in what they say.
func said(o, name string, more []bool, clients, reasons []string) (out []*op.Request) {
	for _, all := range more {
		for _, client := range clients {
			for _, reason := range reasons {
				out = append(out, &op.Request{Op: o, Args: arguments(o, name, all, all), Client: op.Client{Name: client}, Reason: reason})
			}
		}
	}
	return out
}

func notGranted(d op.Decision) bool {
	return slices.ContainsFunc(d.Reasons, func(r op.Reason) bool { return r.Rule == "gateway.resource" || r.Rule == "gateway.scope" })
}

// An operation is listed if and only if some call of it passes, on the transport of the
// list.
func TestWhatIsListedIsWhatCanBeCalled(t *testing.T) {
	p := newProver(t, 14)
	e := open(t, policy.Config{Now: at})
	listed, hidden := 0, 0
	for range max(*policies/4, 1) { // each takes thousands of calls
		b := p.policy(5)
		p.taken(t, b, e)
		for range 4 {
			c, o := p.caller(t), p.one(operations()...)
			transport := op.Transport(p.one("rest", "mcp"))
			got := e.Over(transport).Callable(t.Context(), c, p.cat.Get(o))
			w := p.witness(t, e, c, o, transport, b)
			if got != (w != nil) {
				t.Fatalf("%s by %s (tenant %q, %s, roles %v) over %s: listed %v, passes %+v\n%s", o, c.Subject, c.Tenant, c.Kind, c.Roles, transport, got, w, show(b))
			}
			if got {
				listed++
			} else {
				hidden++
			}
		}
	}
	if listed < *policies/20 || hidden < *policies/20 {
		t.Errorf("%d listed, %d hidden: the property looks at one side", listed, hidden)
	}
}

// What passes is listed, also under rules that a list cannot see through.
func TestWhatCanBeCalledIsListed(t *testing.T) {
	p := newProver(t, 15)
	p.deep, p.wish = true, true
	e := open(t, policy.Config{Now: at})
	for range max(*policies/2, 1) {
		b := p.policy(5)
		p.taken(t, b, e)
		for _, q := range p.calls(t, 30) {
			q.Time = at()
			if !e.Decide(t.Context(), p.bind(t, q)).Allow {
				continue
			}
			if !e.Over(q.Transport).Callable(t.Context(), q.Caller, p.cat.Get(q.Op)) {
				t.Fatalf("%s on %s passes and is not listed for %+v\n%s", q.Op, q.Args, q.Caller, show(b))
			}
			if names, named := e.Over(q.Transport).Names(t.Context(), q.Caller, p.cat.Get(q.Op)); named {
				p.nameIsListed(t, q, names, b)
			}
		}
	}
}

// nameIsListed: the keys and roles that a schema is narrowed to are those that pass.
func (p prover) nameIsListed(t testing.TB, q *op.Request, names []string, b *bundle.Bundle) {
	t.Helper()
	name := p.bind(t, q).Resource.Path.String()
	for _, n := range names {
		if n == name {
			return
		}
	}
	t.Fatalf("%s on %s passes and is not among %v\n%s", q.Op, q.Args, names, show(b))
}
