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

	callers, actions, requests       *memo
	callerKey, actionKey, requestKey Keyer
	clock                            *atomic.Pointer[instant]

	first bool // the policy is of version 1
}

// instant are the terms of a second. All calls of that second share them.
type instant struct {
	Time
	term    *ast.Term
	context *ast.Term // of a call of which nothing but its time is read
}

// NewWriter makes a writer for a policy that reads these fields.
func NewWriter(r Reads) *Writer {
	w := &Writer{
		keys: map[string]*ast.Term{}, reads: r, none: ast.NewTerm(ast.NewObject()), null: ast.NullTerm(),
		callers: newMemo(), actions: newMemo(), requests: newMemo(),
		callerKey: below("principal", r), actionKey: below("action", r), requestKey: below("request", r),
		clock: &atomic.Pointer[instant]{},
	}
	for _, k := range []string{
		"v", "request", "principal", "action", "resource", "args", "context", "id", "transport", "phase",
		"kind", "tenant", "issuer", "prefix", "tier", "roles", "scopes", "on_behalf_of", "auth", "method",
		"age_s", "cert_fp", "op", "engine", "effect", "public", "mount", "path", "ancestors", "version",
		"keys", "bytes", "values", "time", "unix_s", "weekday", "hour_utc", "source_ip",
		"deliver", "wrap_ttl_s", "ttl_s", "reason", "acting", "actors", "claims", "created_s", "destructive", "relative", "segments",
		"relative_segments", "matches", "metadata", "table", "holder", "key", "prefix", "fields", "items", "client", "name", "session",
		"minute_utc", "date", "local", "zone", "hour", "minute", "credential",
	} {
		w.keys[k] = ast.StringTerm(k)
	}
	return w
}

// First is the writer for a policy of version 1, which sees some fields as that version
// had them: on_behalf_of is who acts for the principal, and an unknown age is 0.
func (w *Writer) First() *Writer {
	w.first = true
	return w
}

// Value is the input as the evaluator takes it.
func (w *Writer) Value(in *Input) ast.Value {
	buf := make([]byte, 0, 256)
	version := in.V
	if w.first {
		version = 1
	}
	return ast.NewObject(
		w.number("v", version),
		w.group("request", "request", func() *ast.Term { return w.request(buf[:0], in) }),
		w.item("principal", w.callers.term(w.callerKey.Append(buf[:0], in), func() *ast.Term { return w.principal(&in.Principal) })),
		w.item("action", w.actions.term(w.actionKey.Append(buf[:0], in), func() *ast.Term { return w.action(&in.Action) })),
		w.item("resource", w.resource(&in.Resource)),
		w.group("args", "args", func() *ast.Term { return w.args(&in.Args) }),
		w.group("context", "context", func() *ast.Term { return w.context(&in.Context) }),
	)
}

func (w *Writer) action(a *Action) *ast.Term {
	return w.object(
		w.text("op", a.Op), w.text("engine", a.Engine), w.text("effect", a.Effect),
		w.item("public", ast.InternedTerm(a.Public)), w.item("destructive", ast.InternedTerm(a.Destructive)))
}

func (w *Writer) resource(r *Resource) *ast.Term {
	pairs := append(make([]pair, 0, 9),
		w.text("mount", r.Mount), w.text("path", r.Path), w.list("ancestors", r.Ancestors), w.number("version", r.Version),
		w.item("matches", w.matches(r.Matches)))
	if w.reads.Any("resource.segments") {
		pairs = append(pairs, w.list("segments", r.Segments))
	}
	if w.reads.Any("resource.relative") || w.reads.Any("resource.relative_segments") {
		relative := w.null
		if r.Relative != nil {
			relative = ast.InternedTerm(*r.Relative)
		}
		pairs = append(pairs, w.item("relative", relative), w.list("relative_segments", r.RelativeSegments))
	}
	if w.reads.Any("resource.metadata") {
		pairs = append(pairs, w.item("metadata", w.null))
	}
	return w.object(pairs...)
}

func (w *Writer) matches(list []Match) *ast.Term {
	if len(list) == 0 {
		return ast.InternedEmptyArray
	}
	terms := make([]*ast.Term, len(list))
	for i, m := range list {
		terms[i] = w.object(w.text("table", m.Table), w.text("holder", m.Holder), w.text("key", m.Key), w.text("prefix", m.Prefix))
	}
	return ast.ArrayTerm(terms...)
}

// request is shared by all calls that ask alike, unless what no two of them have in
// common is read.
func (w *Writer) request(buf []byte, in *Input) *ast.Term {
	r := in.Request
	build := func() *ast.Term {
		return w.object(
			w.text("id", r.ID), w.text("transport", r.Transport), w.text("phase", r.Phase), w.text("deliver", r.Deliver),
			w.number("wrap_ttl_s", r.WrapTTLS), w.number("ttl_s", r.TTLS), w.text("reason", r.Reason))
	}
	if w.reads.Any("request.id") || w.reads.Any("request.reason") {
		return build()
	}
	r.ID, r.Reason = "", ""
	return w.requests.term(w.requestKey.Append(buf, in), build)
}

func (w *Writer) principal(p *Principal) *ast.Term {
	pairs := append(make([]pair, 0, 13),
		w.text("id", p.ID),
		w.text("kind", p.Kind),
		w.text("tenant", p.Tenant),
		w.text("issuer", p.Issuer),
		w.text("prefix", p.Prefix),
		w.text("tier", p.Tier),
		w.list("roles", p.Roles),
		w.list("scopes", p.Scopes),
		w.item("on_behalf_of", w.represented(p)),
		w.group("auth", "principal.auth", func() *ast.Term { return w.auth(&p.Auth) }),
		w.group("acting", "principal.acting", func() *ast.Term { return w.actor(&p.Acting) }),
		w.group("claims", "principal.claims", func() *ast.Term { return w.anything(p.Claims) }),
	)
	if w.reads.Any("principal.actors") {
		terms := make([]*ast.Term, len(p.Actors))
		for i := range p.Actors {
			terms[i] = w.actor(&p.Actors[i])
		}
		pairs = append(pairs, w.item("actors", ast.ArrayTerm(terms...)))
	}
	return w.object(pairs...)
}

// represented is what on_behalf_of holds.
func (w *Writer) represented(p *Principal) *ast.Term {
	r := p.OnBehalfOf
	switch {
	case w.first && len(p.Actors) == 0, !w.first && r == nil:
		return w.null
	case w.first:
		return w.actor(&p.Actors[0])
	}
	credential := w.null
	if c := r.Credential; c != nil {
		credential = w.object(w.text("method", c.Method), w.item("created_s", w.maybe(c.CreatedS)))
	}
	return w.object(
		w.text("id", r.ID), w.text("kind", r.Kind), w.text("tenant", r.Tenant), w.text("issuer", r.Issuer), w.text("prefix", r.Prefix),
		w.text("tier", r.Tier), w.list("roles", r.Roles), w.list("scopes", r.Scopes), w.item("claims", w.anything(r.Claims)), w.item("credential", credential))
}

func (w *Writer) auth(a *Auth) *ast.Term {
	age := w.maybe(a.AgeS)
	if w.first && a.AgeS == nil {
		age = ast.InternedTerm(0)
	}
	return w.object(
		w.text("method", a.Method), w.item("age_s", age), w.item("created_s", w.maybe(a.CreatedS)), w.text("cert_fp", a.CertFP))
}

func (w *Writer) maybe(n *int) *ast.Term {
	if n == nil {
		return w.null
	}
	return ast.InternedTerm(*n)
}

// anything is a value of any form, as a caller's claims. What cannot be written, which
// decoded JSON always can, is not there.
func (w *Writer) anything(m map[string]any) *ast.Term {
	v, err := ast.InterfaceToValue(m)
	if err != nil || len(m) == 0 {
		return w.none
	}
	return ast.NewTerm(v)
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
	pairs := append(make([]pair, 0, 5), w.list("keys", a.Keys), w.number("bytes", a.Bytes), w.item("values", values), w.number("items", a.Items))
	if w.reads.Any("args.fields") {
		fields := make([]pair, 0, len(a.Fields))
		for name, size := range a.Fields {
			fields = append(fields, pair{ast.StringTerm(name), ast.InternedTerm(size)})
		}
		pairs = append(pairs, w.item("fields", w.object(fields...)))
	}
	return w.object(pairs...)
}

func (w *Writer) context(c *Context) *ast.Term {
	at := w.time(c.Time)
	if at.context != nil {
		return at.context
	}
	pairs := append(make([]pair, 0, 4), w.item("time", at.term), w.text("source_ip", c.SourceIP))
	if w.reads.Any("context.client") {
		pairs = append(pairs, w.item("client", w.object(w.text("name", c.Client.Name), w.text("version", c.Client.Version), w.text("session", c.Client.Session))))
	}
	if w.reads.Any("context.session") {
		pairs = append(pairs, w.item("session", w.none))
	}
	return w.object(pairs...)
}

func (w *Writer) time(t Time) *instant {
	if last := w.clock.Load(); last != nil && last.Time == t {
		return last
	}
	pairs := append(make([]pair, 0, 6), w.number("unix_s", int(t.UnixS)), w.text("weekday", t.Weekday), w.number("hour_utc", t.HourUTC), w.number("minute_utc", t.MinuteUTC))
	if w.reads.Any("context.time.date") {
		pairs = append(pairs, w.text("date", t.Date))
	}
	if w.reads.Any("context.time.local") {
		pairs = append(pairs, w.item("local", w.object(
			w.text("zone", t.Local.Zone), w.text("date", t.Local.Date), w.text("weekday", t.Local.Weekday),
			w.number("hour", t.Local.Hour), w.number("minute", t.Local.Minute))))
	}
	now := &instant{Time: t, term: w.object(pairs...)}
	if !w.reads.Any("context.source_ip") && !w.reads.Any("context.client") && !w.reads.Any("context.session") {
		now.context = w.object(w.item("time", now.term), w.text("source_ip", ""))
	}
	w.clock.Store(now)
	return now
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
	if len(v) == 0 {
		return w.item(key, ast.InternedEmptyArray)
	}
	terms := make([]*ast.Term, len(v))
	for i, s := range v {
		terms[i] = ast.InternedTerm(s)
	}
	return w.item(key, ast.ArrayTerm(terms...))
}
