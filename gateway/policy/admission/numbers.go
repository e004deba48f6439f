package admission

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// inMilliseconds is a second that nobody means: the year 5138. The present in
// milliseconds is beyond it.
const inMilliseconds = 100_000_000_000

// noTime is a second before which no grant can have been made: the year 2001. A date
// written as a number, as 20261201, is before it.
const noTime = 1_000_000_000

// warn notes a finding that does not keep the policy from being used.
func (n *naming) warn(name, msg, cure string) {
	n.add(name, msg, cure)
	n.found[len(n.found)-1].Warning = true
}

// subject wants a subject to be one that a caller can have.
func (n *naming) subject(at place, who string) {
	if _, err := call.ParseSubject(who); err != nil {
		n.add(who, fmt.Sprintf("%s.subjects names %q, which no caller can be called", at, who),
			"name the subject as /whoami and the log show it: a subject of a token that is no safe name is mapped to one")
	}
}

// obligation checks the numbers of a grant's or an operation's obligation.
func (n *naming) obligation(at place, engine string, duty data.Terms) {
	if _, there := duty["approval"]; there {
		n.add("approval", at.String()+" asks for an approval, and approvals do not exist yet, so every such call is denied", "leave approval out")
	}
	switch end := duty.Number("expires_s"); {
	case end > 0 && end < noTime:
		n.add("expires_s", fmt.Sprintf("%s ended in %d, so it grants nothing", at, time.Unix(int64(end), 0).UTC().Year()), "write Unix seconds, as date -d 2026-12-01 +%s prints them")
	case end >= inMilliseconds:
		n.add("expires_s", fmt.Sprintf("%s ends at %.0f, which is in milliseconds", at, end), fmt.Sprintf("write Unix seconds, as %.0f", end/1000))
	}
	for _, t := range times() {
		if alone(duty, t) {
			n.add(t.least, fmt.Sprintf("%s: %s is %.0f and %s %.0f, so no call is allowed", at, t.least, duty.Number(t.least), t.most, duty.Number(t.most)), "make the largest the larger one")
		}
	}
	if _, there := duty["fields"]; there && engine != "kv" {
		n.add("fields", at.String()+" allows fields, which secrets of the KV engine alone have", "use deliver or transforms for other engines")
	}
}

// ends reports whether what an operation makes ends after a time.
func ends(o *op.Op) bool {
	for _, asked := range [...]string{"ttl", "increment"} {
		if may, _ := o.Takes(asked); may {
			return true
		}
	}
	return o.Effect == op.Issue
}

// endless warns of a bound of a life for operations none of which makes anything that ends.
func (n *naming) endless(at place, duty data.Terms, covers func(operation string) bool) {
	if !duty.Bounds() {
		return
	}
	some := false
	for o, mortal := range n.ends {
		if !covers(o) {
			continue
		}
		if mortal {
			return
		}
		some = true
	}
	for _, name := range [...]string{"max_ttl_s", "min_ttl_s"} {
		if _, there := duty[name]; there && some {
			n.warn(name, fmt.Sprintf("%s bounds by %s how long something lives, and what is done here makes nothing that ends", at, name),
				"leave it out, or name operations that make credentials, certificates or leases; wrap_ttl_s bounds the life of a wrapped answer")
		}
	}
}

// bounds are the terms that bound a time from below and above.
type bounds struct{ least, most string }

func times() []bounds { return []bounds{{"min_ttl_s", "max_ttl_s"}, {"min_wrap_ttl_s", "wrap_ttl_s"}} }

// together holds the bounds of a grant against those of the operations that it is for: each
// may be met, and both by no call.
func (n *naming) together(at place, engine string, grant data.Terms) {
	if len(n.bounded) == 0 || !grant.Bounds() {
		return
	}
	for o, duty := range n.bounded {
		if !(data.Grant{Engine: engine, Terms: grant}).Covers(o) {
			continue
		}
		for _, t := range times() {
			low, high := max(grant.Number(t.least), duty.Number(t.least)), smallest(grant.Number(t.most), duty.Number(t.most))
			own := alone(grant, t) || alone(duty, t) // which is said of it
			if !own && high > 0 && low > high {
				n.add(at[len(at)-1], fmt.Sprintf("%s and obligations.%s ask together for a %s of %.0f and a %s of %.0f, so no such call is allowed", at, o, t.least, low, t.most, high),
					"make the largest the larger one, or leave the operation out of the grant")
			}
		}
	}
}

// alone reports whether no call can meet the bounds of one duty.
func alone(duty data.Terms, t bounds) bool {
	high := duty.Number(t.most)
	return high > 0 && duty.Number(t.least) > high
}

// smallest is the smaller of two bounds, of which 0 is none.
func smallest(a, b float64) float64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// tier looks at limits under which an operation can never be called, or always.
func (n *naming) tier(name string, t op.Tier) {
	if t.Requests == 0 || t.Burst == 0 {
		n.warn(name, "tiers."+name+" lets nothing through: requests or burst is 0", "write a larger number, or leave the tier out")
	}
	for operation, cost := range t.Costs {
		switch _, there := n.ops[operation]; {
		case !there: // which is said of the name
		case cost == 0:
			n.add(operation, fmt.Sprintf("tiers.%s.cost makes %s free, so nothing limits it", name, operation), "write 1 or more, or leave it out for 1")
		case cost > t.Burst && t.Burst > 0:
			say := n.warn // the default data name the cost
			if slices.Contains(n.data.Costs(name), operation) {
				say = n.add
			}
			say(operation, fmt.Sprintf("tiers.%s.cost of %s is %d, more than the burst %d, so it can never be called", name, operation, cost, t.Burst),
				"write a burst of at least the cost, or a smaller cost")
		}
	}
}

// pattern looks at the name of a grant that has a wildcard or a template.
func (n *naming) pattern(at place, engine, name string) {
	say := func(msg, cure string) { n.add(name, fmt.Sprintf("%s.%s grants %q: %s", at, engine, name, msg), cure) }
	if n.version < document.Version {
		say("wildcards and templates are of version 2, so no call can have it", "put version: 2 into the data; a path covers everything below it without a star")
		return
	}
	segments := strings.Split(name, "/")
	if engine != "kv" && (len(segments) > 1 || segments[0] == "*") {
		say("a key or role is one segment", "write +, which is for any name, or a template")
		return
	}
	for i, s := range segments {
		switch {
		case s == "+", s == "*" && i == len(segments)-1:
			continue
		case strings.ContainsAny(s, "*?") || strings.Contains(s, "+"):
			say("a wildcard is a whole segment, + for any one and * at the end for everything below", "give the wildcard a segment of its own")
			return
		}
		templates := program.Templates(s)
		if len(templates) > 1 { // as {claims.team}-{principal} is a-b-c to b-c of a and to c of a-b
			say("two templates in one segment, so callers with other values can have the same name", "put a slash between them")
			return
		}
		for _, t := range templates {
			s = strings.ReplaceAll(s, "{"+t+"}", "x")
		}
		if strings.ContainsAny(s, "{}") {
			say("the template is not known", "use {principal}, {tenant}, {role} or {claims.<name>}")
			return
		}
		if _, err := call.ParsePath(s); err != nil {
			say("no call can have it", "write clean segments")
			return
		}
	}
}
