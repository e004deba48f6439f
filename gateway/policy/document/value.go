package document

import (
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Writer builds inputs in the evaluator's own form, by hand, which costs a
// fraction of a conversion through maps. What the policy provably does not read is
// left empty. A Writer is immutable.
type Writer struct {
	keys  map[string]*ast.Term
	reads Reads
	none  *ast.Term
	null  *ast.Term

	callers, actions     *memo
	callerKey, actionKey Keyer
	clock                *atomic.Pointer[instant]
}

// instant is the term of a second. All calls of that second share it.
type instant struct {
	Time
	term *ast.Term
}

// NewWriter makes a writer for a policy that reads these fields.
func NewWriter(r Reads) *Writer {
	w := &Writer{
		keys: map[string]*ast.Term{}, reads: r, none: ast.NewTerm(ast.NewObject()), null: ast.NullTerm(),
		callers: newMemo(), actions: newMemo(), callerKey: below("principal", r), actionKey: below("action", r),
		clock: &atomic.Pointer[instant]{},
	}
	for _, k := range []string{
		"v", "request", "principal", "action", "resource", "args", "context", "id", "transport", "phase",
		"kind", "tenant", "issuer", "prefix", "tier", "roles", "scopes", "on_behalf_of", "auth", "method",
		"age_s", "cert_fp", "op", "engine", "effect", "public", "mount", "path", "ancestors", "version",
		"keys", "bytes", "values", "time", "unix_s", "weekday", "hour_utc", "source_ip",
	} {
		w.keys[k] = ast.StringTerm(k)
	}
	return w
}

// Value is the input as the evaluator takes it.
func (w *Writer) Value(in *Input) ast.Value {
	buf := make([]byte, 0, 256)
	return ast.NewObject(
		w.number("v", in.V),
		w.group("request", "request", func() *ast.Term { return w.request(&in.Request) }),
		w.item("principal", w.callers.term(w.callerKey.Append(buf[:0], in), func() *ast.Term { return w.principal(&in.Principal) })),
		w.item("action", w.actions.term(w.actionKey.Append(buf[:0], in), func() *ast.Term { return w.action(&in.Action) })),
		w.item("resource", w.object(
			w.text("mount", in.Resource.Mount),
			w.text("path", in.Resource.Path),
			w.list("ancestors", in.Resource.Ancestors),
			w.number("version", in.Resource.Version))),
		w.group("args", "args", func() *ast.Term { return w.args(&in.Args) }),
		w.group("context", "context", func() *ast.Term { return w.context(&in.Context) }),
	)
}

func (w *Writer) action(a *Action) *ast.Term {
	return w.object(
		w.text("op", a.Op), w.text("engine", a.Engine), w.text("effect", a.Effect),
		w.item("public", ast.InternedTerm(a.Public)))
}

func (w *Writer) request(r *Request) *ast.Term {
	return w.object(w.text("id", r.ID), w.text("transport", r.Transport), w.text("phase", r.Phase))
}

func (w *Writer) principal(p *Principal) *ast.Term {
	return w.object(
		w.text("id", p.ID),
		w.text("kind", p.Kind),
		w.text("tenant", p.Tenant),
		w.text("issuer", p.Issuer),
		w.text("prefix", p.Prefix),
		w.text("tier", p.Tier),
		w.list("roles", p.Roles),
		w.list("scopes", p.Scopes),
		w.item("on_behalf_of", w.actor(p.OnBehalfOf)),
		w.group("auth", "principal.auth", func() *ast.Term {
			return w.object(
				w.text("method", p.Auth.Method), w.number("age_s", p.Auth.AgeS), w.text("cert_fp", p.Auth.CertFP))
		}),
	)
}

func (w *Writer) actor(a *Actor) *ast.Term {
	if a == nil {
		return w.null
	}
	return w.object(w.text("id", a.ID), w.text("kind", a.Kind))
}

func (w *Writer) args(a *Args) *ast.Term {
	values := w.none
	if len(a.Values) > 0 {
		// A lazy object converts only what the policy touches.
		values = ast.NewTerm(ast.LazyObject(a.Values))
	}
	return w.object(w.list("keys", a.Keys), w.number("bytes", a.Bytes), w.item("values", values))
}

func (w *Writer) context(c *Context) *ast.Term {
	return w.object(w.item("time", w.time(c.Time)), w.text("source_ip", c.SourceIP))
}

func (w *Writer) time(t Time) *ast.Term {
	if last := w.clock.Load(); last != nil && last.Time == t {
		return last.term
	}
	term := w.object(w.number("unix_s", int(t.UnixS)), w.text("weekday", t.Weekday), w.number("hour_utc", t.HourUTC))
	w.clock.Store(&instant{t, term})
	return term
}

type pair = [2]*ast.Term

func (w *Writer) object(pairs ...pair) *ast.Term { return ast.NewTerm(ast.NewObject(pairs...)) }

func (w *Writer) item(key string, t *ast.Term) pair { return pair{w.keys[key], t} }

func (w *Writer) text(key, v string) pair { return pair{w.keys[key], ast.InternedTerm(v)} }

func (w *Writer) number(key string, v int) pair { return pair{w.keys[key], ast.InternedTerm(v)} }

// group builds an object only when something in it is read.
func (w *Writer) group(key, path string, build func() *ast.Term) pair {
	if !w.reads.Any(path) {
		return w.item(key, w.none)
	}
	return w.item(key, build())
}

func (w *Writer) list(key string, v []string) pair {
	terms := make([]*ast.Term, len(v))
	for i, s := range v {
		terms[i] = ast.InternedTerm(s)
	}
	return w.item(key, ast.ArrayTerm(terms...))
}
