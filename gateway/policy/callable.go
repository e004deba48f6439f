package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/document"
)

// maxLists bounds how many answers about lists are kept for a revision.
const maxLists = 1 << 16

// lists keeps which operations callers can call. It belongs to one snapshot.
type lists = kept[listed]

// listed is what a caller can do with an operation, and the time in which that holds: a
// grant may end, and a rule may look at the clock.
type listed struct {
	names       []string
	unnamed     bool // it acts on nothing that has a name, or on any
	possible    bool
	from, until int64 // Unix seconds
}

func newLists(b *budget.Budgets) *lists { return &lists{most: maxLists, budgets: b} }

// Lists says what callers can call over one transport, so that what is listed there is
// what can be called there.
type Lists struct {
	engine    *Engine
	transport op.Transport // empty for any
}

// Over are the lists of a transport.
func (e *Engine) Over(t op.Transport) Lists { return Lists{e, t} }

// Callable reports whether some call of the operation could be allowed to the
// caller, whatever its transport. The answer is not kept: it is asked for what a caller may
// do in Vault, of each operation once, and would take the room of lists that come again.
func (e *Engine) Callable(ctx context.Context, c *call.Caller, o *op.Op) bool {
	return e.Over("").Callable(ctx, c, o)
}

// Names are those of Over, whatever the transport.
func (e *Engine) Names(ctx context.Context, c *call.Caller, o *op.Op) (names []string, ok bool) {
	return e.Over("").Names(ctx, c, o)
}

// Callable reports whether some call of the operation could be allowed to the
// caller.
func (l Lists) Callable(ctx context.Context, c *call.Caller, o *op.Op) bool {
	return l.engine.listed(ctx, c, o, l.transport).possible
}

// Names are the keys or roles that the caller may use with an operation whose
// resource is named, sorted; ok is false for operations whose resources are not
// named by data, as paths of secrets, and for those that name none. A schema is
// narrowed to them.
func (l Lists) Names(ctx context.Context, c *call.Caller, o *op.Op) (names []string, ok bool) {
	if !byName(o) {
		return nil, false
	}
	found := l.engine.listed(ctx, c, o, l.transport)
	return found.names, !found.unnamed
}

// byName reports whether data grant what an engine has by name.
func byName(o *op.Op) bool { return o.Mount != "" && o.Engine != "kv" }

func (e *Engine) listed(ctx context.Context, c *call.Caller, o *op.Op, t op.Transport) listed {
	s, now := e.of(c), e.cfg.Now()
	if part := e.cfg.Catalogue.Get(o.Of); part != nil {
		o = part // what stands for several calls can be called when one of them can
	}
	if e.expired(e.refused.Load()) {
		return listed{}
	}
	f := document.FactsOfList(c, o, now)
	f.Request.Transport = string(t)
	key := s.listKey(f, c.AuthTime)
	l, ok := s.lists.get(key)
	if ok && l.from <= now.Unix() && now.Unix() < l.until {
		return l
	}
	q := &listing{ctx: ctx, snapshot: s}
	l = q.of(f)
	if ctx.Err() != nil {
		return l // the caller has left: the answer is no answer for others
	}
	if l.from, l.until = s.ListWindow(now.Unix()); q.failed {
		e.failedLists.Add(1)
		l.from, l.until = now.Unix(), now.Unix()+1
	}
	if t != "" {
		s.lists.put(c.Key(), key, l)
	}
	return l
}

// AsOf names what it depends on, beside the caller, what Callable and Granted say: while it is
// the same, so are they. An answer that failed is never the last.
func (e *Engine) AsOf() string {
	now := e.cfg.Now().Unix()
	from, _ := e.active.Load().ListWindow(now)
	if e.canary != nil && e.shadow != nil {
		if s := e.shadow.candidate.Load(); s != nil {
			other, _ := s.ListWindow(now)
			from = max(from, other)
		}
	}
	return fmt.Sprint(e.InForce(), " ", from, " ", e.failedLists.Load(), " ", e.expired(e.refused.Load()))
}

// listing asks the policy what is possible. An error is a no, for the moment.
type listing struct {
	ctx      context.Context
	snapshot *snapshot
	failed   bool // there was an error
}

func (q *listing) possible(f document.Facts) bool { return q.sure(q.snapshot.Possible(q.ctx, f)) }

func (q *listing) sure(ok bool, err error) bool {
	q.failed = q.failed || err != nil
	return ok && err == nil
}

func (q *listing) of(f document.Facts) listed {
	switch {
	case f.Op.Unnamed:
		return listed{possible: q.onSomeMount(f), unnamed: true}
	case !byName(f.Op):
		return listed{possible: q.sure(q.snapshot.PossibleAnywhere(q.ctx, f))}
	}
	if q.possible(f) {
		return listed{possible: true, unnamed: true}
	}
	names, open := q.names(f)
	return listed{names: names, possible: open || len(names) > 0, unnamed: open}
}

// onSomeMount asks about an operation that acts on nothing but a mount.
func (q *listing) onSomeMount(f document.Facts) bool {
	for _, m := range f.Op.Mounts() {
		f.Resource.Mount = m.Path
		if q.possible(f) {
			return true
		}
	}
	return false
}

// names tries every name that the data grant to the caller. Its arguments stay
// unknown. A grant of any name leaves them open, unless rules refuse all but some that
// they name.
func (q *listing) names(f document.Facts) (out []string, open bool) {
	all := q.snapshot.Granted(f.Caller, f.Op.Engine)
	if f.Caller.Behalf != nil {
		all = append(all, q.snapshot.Granted(f.Caller.Behalf, f.Op.Engine)...)
	}
	for _, granted := range all {
		m, name := f.Op.Named(granted)
		f.Resource.Mount = m.Path
		tried := []string{name}
		if name == "+" {
			tried = append([]string{anyName}, q.snapshot.Marks()...)
		}
		for _, t := range tried {
			p, err := call.ParsePath(t)
			if err != nil || name == "+" && strings.Contains(t, "/") {
				continue
			}
			f.Resource.Path = p
			switch {
			case !q.possible(f):
			case t == anyName:
				return nil, true
			default:
				out = append(out, t)
			}
		}
	}
	slices.Sort(out) // of several mounts, which names came with
	return slices.Compact(out), false
}

// anyName stands for a name that nothing else says anything about.
const anyName = "any-name"

// listKey is everything of a caller that a policy may look at, the operation and the
// transport. Every part is quoted by its length. The time is one that does not change.
func (s *snapshot) listKey(f document.Facts, at time.Time) []byte {
	f.Time = at
	in := f.Input(s.all)
	return s.listKeys.Append(make([]byte, 0, 512), &in)
}

// newListKeys writes all of an input but the time of the call.
func newListKeys() document.Keyer {
	return document.NewKeyer(document.Everything(), "context.time.unix_s")
}
