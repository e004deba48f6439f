package program

import (
	"math"
	"slices"

	"portcullis/gateway/policy/data"
	"portcullis/gateway/policy/document"
)

// Cacheable proves whether decisions may be kept, from what the rules can read. A
// decision is a function of the revision and of the fields that are read, because
// no function that a policy may use has another source. What is in the key changes
// the key; so a policy cannot be cached only if its key would never come again: when a
// team reads the id of the request, or the second, and then they are kept for that second
// alone. The embedded rules read the second to end grants, and Window knows when grants
// end.
func (p *Program) Cacheable() (ok bool, because string) {
	switch {
	case p.team.Any("request.id"):
		return false, "a rule reads request.id"
	case p.team.Any("context.time.unix_s"):
		return false, "a rule reads context.time.unix_s"
	}
	return true, ""
}

// Keeps reports whether a decision may be asked for again while its Window lasts.
func (p *Program) Keeps() bool { return !p.team.Any("request.id") }

// Keyer writes the key of a decision.
func (p *Program) Keyer() document.Keyer {
	return document.NewKeyer(p.reads, "context.time.unix_s")
}

// Window is the time around now in which no grant ends: from inclusive, until
// exclusive, in Unix seconds. Within it, the second does not matter, unless a rule of a
// team reads it: then it is that second alone.
func (p *Program) Window(now int64) (from, until int64) {
	if p.team.Any("context.time.unix_s") {
		return now, now + 1
	}
	i, _ := slices.BinarySearch(p.ends, now+1)
	from, until = math.MinInt64, math.MaxInt64
	if i > 0 {
		from = p.ends[i-1]
	}
	if i < len(p.ends) {
		until = p.ends[i]
	}
	return from, until
}

// ListWindow is the Window of an answer about lists, whose keys have no time in them: while
// a rule of a team reads any time, or the age of a credential, it is that second alone.
func (p *Program) ListWindow(now int64) (from, until int64) {
	if p.team.Any("context.time") || p.team.Any("principal.auth.age_s") {
		return now, now + 1
	}
	return p.Window(now)
}

// ends are the times at which any grant ends, in order.
func ends(d data.Data) []int64 {
	var out []int64
	for t := range d.Tables() {
		for _, kind := range data.Kinds() {
			for _, h := range t.Holders(kind) {
				for engine := range h.Engines() {
					for _, terms := range h.Granted(engine) {
						if end, ok := terms.Ends(); ok {
							out = append(out, end)
						}
					}
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
