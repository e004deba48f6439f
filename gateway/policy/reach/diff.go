package reach

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/data"
)

// Change is one thing that lets more, or less, through.
type Change struct {
	Kind  string `json:"kind"` // grant, duty, rule, tier, data or log
	At    string `json:"at"`   // place in the data, or id of a rule
	Msg   string `json:"msg"`
	Entry *Entry `json:"entry,omitempty"` // of a grant
}

// Diff compares the data of two policies. What cannot be shown to be as tight as
// before is reported as wider.
func Diff(before, after data.Data, ops []*op.Op) (widens, narrows []Change) {
	d := &differ{}
	d.entries(Bound(before, ops, 0), Bound(after, ops, 0))
	d.grants(grantsIn(before), grantsIn(after))
	d.operations(before, after)
	d.log(before, after)
	d.tiers(before.Document(), after.Document())
	d.rest(before.Document(), after.Document())
	return d.widens, d.narrows
}

type differ struct{ widens, narrows []Change }

func (d *differ) wider(kind, at, format string, args ...any) {
	d.widens = append(d.widens, Change{Kind: kind, At: at, Msg: fmt.Sprintf(format, args...)})
}

func (d *differ) narrower(kind, at, format string, args ...any) {
	d.narrows = append(d.narrows, Change{Kind: kind, At: at, Msg: fmt.Sprintf(format, args...)})
}

// entries finds what can be reached now and could not before, and the other way round.
func (d *differ) entries(before, after []Entry) {
	d.widens = append(d.widens, beyond(after, before, "can be reached now")...)
	d.narrows = append(d.narrows, beyond(before, after, "cannot be reached any more by this")...)
}

// beyond are the entries of a list that none of another covers.
func beyond(list, others []Entry, what string) (out []Change) {
	type holder struct{ tenant, subject, role, op string }
	by := map[holder][]Entry{}
	for _, o := range others {
		h := holder{o.Tenant, o.Subject, o.Role, o.Op}
		by[h] = append(by[h], o)
	}
	for _, e := range list {
		covered := slices.ContainsFunc(by[holder{e.Tenant, e.Subject, e.Role, e.Op}], func(o Entry) bool {
			return o.Path == e.Path || o.Mount == e.Mount && covers(o.Path, e.Path) && named(o, e)
		})
		if !covered {
			entry := e
			out = append(out, Change{Kind: "grant", At: e.Via, Entry: &entry, Msg: fmt.Sprintf("%s %s %q %s", e.Who(), e.Op, e.Path, what)})
		}
	}
	return out
}

// named: only paths of secrets cover what lies below them.
func named(a, b Entry) bool {
	return len(segments(a.Path)) == len(segments(b.Path)) || strings.HasPrefix(a.Op, "kv.")
}

func grantsIn(all data.Data) map[string]data.Grant {
	out := map[string]data.Grant{}
	for g := range all.Grants() {
		out[g.At()] = g
	}
	return out
}

// grants compares the terms of grants that are there before and after, and looks for
// duties of grants that are gone while another grant still covers what they covered.
func (d *differ) grants(before, after map[string]data.Grant) {
	for _, at := range slices.Sorted(maps.Keys(before)) {
		was := before[at]
		if is, there := after[at]; there {
			d.terms(at, was.Without("ops"), is.Without("ops"))
			continue
		}
		if duties := was.Without("ops", "expires_s"); was.Engine == "kv" && len(duties) > 0 {
			d.wider("duty", at, "the duties are gone, also for callers below whose own prefix the path lies: %v", duties)
			continue
		}
		for _, is := range after {
			same := is.Tenant == was.Tenant && is.Engine == was.Engine && is.Kind == was.Kind && is.Holder == was.Holder
			if same && meets(is.Name, was.Name) && len(was.Without("ops", "expires_s")) > 0 {
				d.terms(at, was.Without("ops", "expires_s"), is.Without("ops", "expires_s"))
			}
		}
	}
}

// operations compares the duties that the data ask of operations.
func (d *differ) operations(before, after data.Data) {
	was, is := maps.Collect(before.Obligations()), maps.Collect(after.Obligations())
	for _, name := range slices.Sorted(maps.Keys(union(was, is))) {
		d.terms("obligations."+name, was[name], is[name])
	}
}

func table(m map[string]any, name string) map[string]any {
	t, _ := m[name].(map[string]any)
	return t
}

func union[M ~map[string]V, V any](a, b M) M {
	out := M{}
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

// terms compares the duties of one place.
func (d *differ) terms(at string, was, is data.Terms) {
	for _, name := range slices.Sorted(maps.Keys(union(was, is))) {
		a, b := was[name], is[name]
		if reflect.DeepEqual(a, b) {
			continue
		}
		kind := "duty"
		if name == "expires_s" {
			kind = "grant"
		}
		switch looser(name, a, b) {
		case yes:
			d.wider(kind, at, "%s: %s, before %s", name, text(b), text(a))
		case no:
			d.narrower(kind, at, "%s: %s, before %s", name, text(b), text(a))
		default:
			d.wider(kind, at, "%s: %s, before %s; it may ask for less", name, text(b), text(a))
		}
	}
}

func text(v any) string {
	if v == nil {
		return "none"
	}
	return fmt.Sprint(v)
}

// tiers compares how much a tier lets through.
func (d *differ) tiers(before, after map[string]any) {
	was, is := table(before, "tiers"), table(after, "tiers")
	for _, name := range slices.Sorted(maps.Keys(union(was, is))) {
		a, b, at := table(was, name), table(is, name), "tiers."+name
		switch {
		case a == nil || reflect.DeepEqual(a, b):
		case b == nil:
			d.narrower("tier", at, "the tier is gone: calls that name it are denied")
		case atMost(rate(b), rate(a)) && atMost(number(b["burst"]), number(a["burst"])) && reflect.DeepEqual(a["cost"], b["cost"]) && (b["without_store"] == "deny" || a["without_store"] == b["without_store"]) &&
			atMost(number(b["streams"]), number(a["streams"])) && atMost(number(b["concurrent"]), number(a["concurrent"])):
			d.narrower("tier", at, "lets less through: %s, before %s", text(any(b)), text(any(a)))
		default:
			d.wider("tier", at, "may let more through: %s, before %s", text(any(b)), text(any(a)))
		}
	}
}

func atMost(a, b float64) bool { return a <= b }

func number(v any) float64 {
	n, _ := v.(float64)
	return n
}

// rate is requests in a second.
func rate(tier map[string]any) float64 {
	if w := number(tier["window_s"]); w > 0 {
		return number(tier["requests"]) / w
	}
	return 0
}

// known are the tables that are compared by what they mean.
func known() []string {
	return []string{"grants", "tenants", "obligations", "tiers", "masks", "unmasked"}
}

// rest compares everything else, as the data of teams: what a change of it does, only
// the rules know.
func (d *differ) rest(before, after map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(union(before, after))) {
		if slices.Contains(known(), name) || reflect.DeepEqual(before[name], after[name]) {
			continue
		}
		was, is := table(before, name), table(after, name)
		for _, key := range slices.Sorted(maps.Keys(union(was, is))) {
			if !reflect.DeepEqual(was[key], is[key]) {
				d.wider("data", name+"."+key, "changed: what reads it may refuse less, or ask for less")
			}
		}
		if was == nil || is == nil {
			d.wider("data", name, "changed: what reads it may refuse less, or ask for less")
		}
	}
}

// log compares what the decision log hides.
func (d *differ) log(before, after data.Data) {
	report := func(name string, shown, hidden []string) {
		for _, f := range shown {
			d.wider("log", name, "the decision log shows %s", f)
		}
		for _, f := range hidden {
			d.narrower("log", name, "the decision log hides %s", f)
		}
	}
	report("masks", missing(before.Masks(), after.Masks()), missing(after.Masks(), before.Masks()))
	report("unmasked", missing(after.Unmasked(), before.Unmasked()), missing(before.Unmasked(), after.Unmasked()))
}

// missing are those of a list that another one has not.
func missing(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(f string) bool { return slices.Contains(other, f) })
}
