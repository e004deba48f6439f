package document

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/op/jsonline"
)

// AppendTo appends the input as it is recorded without the values of arguments, member by
// member: one is written for every decision. A test holds it against the type.
func (in *Input) AppendTo(o *jsonline.Object, k string) {
	o.Open(k)
	o.Int("v", int64(in.V))
	in.Request.appendTo(o)
	in.Principal.appendTo(o)
	in.Action.appendTo(o)
	in.Resource.appendTo(o)
	in.Args.appendTo(o)
	in.Context.appendTo(o)
	o.Close()
}

func (r *Request) appendTo(o *jsonline.Object) {
	o.Open("request")
	o.Str("id", r.ID)
	o.Str("transport", r.Transport)
	o.Str("phase", r.Phase)
	o.Str("deliver", r.Deliver)
	o.Int("wrap_ttl_s", int64(r.WrapTTLS))
	o.Int("ttl_s", int64(r.TTLS))
	o.Str("reason", r.Reason)
	o.Close()
}

func (p *Principal) appendTo(o *jsonline.Object) {
	o.Open("principal")
	o.Str("id", p.ID)
	o.Str("kind", p.Kind)
	o.Str("tenant", p.Tenant)
	o.Str("issuer", p.Issuer)
	o.Str("prefix", p.Prefix)
	o.Str("tier", p.Tier)
	o.List("roles", p.Roles)
	o.List("scopes", p.Scopes)
	o.Open("acting")
	p.Acting.appendTo(o)
	o.Key("actors")
	list(o, p.Actors, (*Actor).appendTo)
	p.OnBehalfOf.appendTo(o)
	anyOf(o, "claims", p.Claims)
	o.Open("auth")
	o.Str("method", p.Auth.Method)
	orNull(o, "age_s", p.Auth.AgeS)
	orNull(o, "created_s", p.Auth.CreatedS)
	o.Str("cert_fp", p.Auth.CertFP)
	o.Close()
	o.Close()
}

// list appends objects, each of which is begun here and ended by its own method.
func list[T any](o *jsonline.Object, all []T, members func(*T, *jsonline.Object)) {
	o.B = append(o.B, '[')
	for i := range all {
		if i > 0 {
			o.B = append(o.B, ',')
		}
		o.B = append(o.B, '{')
		members(&all[i], o)
	}
	o.B = append(o.B, ']')
}

func (a *Actor) appendTo(o *jsonline.Object) {
	o.Str("id", a.ID)
	o.Str("kind", a.Kind)
	o.Close()
}

func (r *Represented) appendTo(o *jsonline.Object) {
	if r == nil {
		o.Null("on_behalf_of")
		return
	}
	o.Open("on_behalf_of")
	o.Str("id", r.ID)
	o.Str("kind", r.Kind)
	o.Str("tenant", r.Tenant)
	o.Str("issuer", r.Issuer)
	o.Str("prefix", r.Prefix)
	o.Str("tier", r.Tier)
	o.List("roles", r.Roles)
	o.List("scopes", r.Scopes)
	anyOf(o, "claims", r.Claims)
	if c := r.Credential; c == nil {
		o.Null("credential")
	} else {
		o.Open("credential")
		o.Str("method", c.Method)
		orNull(o, "created_s", c.CreatedS)
		o.Close()
	}
	o.Close()
}

func (a *Action) appendTo(o *jsonline.Object) {
	o.Open("action")
	o.Str("op", a.Op)
	o.Str("engine", a.Engine)
	o.Str("effect", a.Effect)
	o.Bool("public", a.Public)
	o.Bool("destructive", a.Destructive)
	o.Close()
}

func (r *Resource) appendTo(o *jsonline.Object) {
	o.Open("resource")
	o.Str("mount", r.Mount)
	o.Str("path", r.Path)
	o.List("ancestors", r.Ancestors)
	o.Int("version", int64(r.Version))
	if r.Relative == nil {
		o.Null("relative")
	} else {
		o.Str("relative", *r.Relative)
	}
	o.List("segments", r.Segments)
	o.List("relative_segments", r.RelativeSegments)
	o.Key("matches")
	list(o, r.Matches, (*Match).appendTo)
	o.Null("metadata")
	o.Close()
}

func (m *Match) appendTo(o *jsonline.Object) {
	o.Str("table", m.Table)
	o.Str("holder", m.Holder)
	o.Str("key", m.Key)
	o.Str("prefix", m.Prefix)
	o.Close()
}

// appendTo leaves the values out.
func (a *Args) appendTo(o *jsonline.Object) {
	o.Open("args")
	o.List("keys", a.Keys)
	o.Int("bytes", int64(a.Bytes))
	o.Open("fields")
	if len(a.Fields) > 0 {
		for _, name := range slices.Sorted(maps.Keys(a.Fields)) {
			o.Name(name)
			o.Number(int64(a.Fields[name]))
		}
	}
	o.Close()
	o.Int("items", int64(a.Items))
	o.Close()
}

func (c *Context) appendTo(o *jsonline.Object) {
	o.Open("context")
	t := &c.Time
	o.Open("time")
	o.Int("unix_s", t.UnixS)
	o.Str("weekday", t.Weekday)
	o.Int("hour_utc", int64(t.HourUTC))
	o.Int("minute_utc", int64(t.MinuteUTC))
	o.Str("date", t.Date)
	o.Open("local")
	o.Str("zone", t.Local.Zone)
	o.Str("date", t.Local.Date)
	o.Str("weekday", t.Local.Weekday)
	o.Int("hour", int64(t.Local.Hour))
	o.Int("minute", int64(t.Local.Minute))
	o.Close()
	o.Close()
	o.Str("source_ip", c.SourceIP)
	o.Open("client")
	o.Str("name", c.Client.Name)
	o.Str("version", c.Client.Version)
	o.Str("session", c.Client.Session)
	o.Close()
	anyOf(o, "session", c.Session)
	o.Close()
}

func orNull(o *jsonline.Object, k string, n *int) {
	if n == nil {
		o.Null(k)
		return
	}
	o.Int(k, int64(*n))
}

// anyOf appends values of any form, as a caller's claims. What cannot be written, which
// decoded JSON always can, is not there.
func anyOf(o *jsonline.Object, k string, m map[string]any) {
	o.Key(k)
	raw := []byte("{}")
	if len(m) > 0 {
		if text, err := json.Marshal(m, json.Deterministic(true)); err == nil {
			raw = text
		}
	}
	o.B = append(o.B, raw...)
}
