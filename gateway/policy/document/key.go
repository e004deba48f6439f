package document

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
)

// field is a leaf of the input and how it is written into a key. Texts and lists
// are written behind their length, so that two inputs never share a key.
type field struct {
	path  string
	write func(dst []byte, in *Input) []byte
}

// leaves are all leaves of the input. A test holds the list against the type.
func leaves() []field {
	place := func(d []byte, in *Input) []byte { return text(text(d, in.Resource.Mount), in.Resource.Path) }
	return []field{
		{"request.id", func(d []byte, in *Input) []byte { return text(d, in.Request.ID) }},
		{"request.transport", func(d []byte, in *Input) []byte { return text(d, in.Request.Transport) }},
		{"request.phase", func(d []byte, in *Input) []byte { return text(d, in.Request.Phase) }},
		{"request.deliver", func(d []byte, in *Input) []byte { return text(d, in.Request.Deliver) }},
		{"request.wrap_ttl_s", func(d []byte, in *Input) []byte { return integer(d, int64(in.Request.WrapTTLS)) }},
		{"request.ttl_s", func(d []byte, in *Input) []byte { return integer(d, int64(in.Request.TTLS)) }},
		{"request.reason", func(d []byte, in *Input) []byte { return text(d, in.Request.Reason) }},
		{"principal.id", func(d []byte, in *Input) []byte { return text(d, in.Principal.ID) }},
		{"principal.kind", func(d []byte, in *Input) []byte { return text(d, in.Principal.Kind) }},
		{"principal.tenant", func(d []byte, in *Input) []byte { return text(d, in.Principal.Tenant) }},
		{"principal.issuer", func(d []byte, in *Input) []byte { return text(d, in.Principal.Issuer) }},
		{"principal.prefix", func(d []byte, in *Input) []byte { return text(d, in.Principal.Prefix) }},
		{"principal.tier", func(d []byte, in *Input) []byte { return text(d, in.Principal.Tier) }},
		{"principal.roles", func(d []byte, in *Input) []byte { return texts(d, in.Principal.Roles) }},
		{"principal.scopes", func(d []byte, in *Input) []byte { return texts(d, in.Principal.Scopes) }},
		{"principal.on_behalf_of", func(d []byte, in *Input) []byte { return in.Principal.OnBehalfOf.key(d) }},
		{"principal.acting", func(d []byte, in *Input) []byte { return in.Principal.Acting.key(d) }},
		{"principal.actors", func(d []byte, in *Input) []byte { return actors(d, in.Principal.Actors) }},
		{"principal.claims", func(d []byte, in *Input) []byte { return anything(d, in.Principal.Claims) }},
		{"principal.auth.method", func(d []byte, in *Input) []byte { return text(d, in.Principal.Auth.Method) }},
		{"principal.auth.age_s", func(d []byte, in *Input) []byte { return maybe(d, in.Principal.Auth.AgeS) }},
		{"principal.auth.created_s", func(d []byte, in *Input) []byte { return maybe(d, in.Principal.Auth.CreatedS) }},
		{"principal.auth.cert_fp", func(d []byte, in *Input) []byte { return text(d, in.Principal.Auth.CertFP) }},
		{"action.op", func(d []byte, in *Input) []byte { return text(d, in.Action.Op) }},
		{"action.engine", func(d []byte, in *Input) []byte { return text(d, in.Action.Engine) }},
		{"action.effect", func(d []byte, in *Input) []byte { return text(d, in.Action.Effect) }},
		{"action.public", func(d []byte, in *Input) []byte { return boolean(d, in.Action.Public) }},
		{"action.destructive", func(d []byte, in *Input) []byte { return boolean(d, in.Action.Destructive) }},
		{"resource.mount", func(d []byte, in *Input) []byte { return text(d, in.Resource.Mount) }},
		{"resource.path", func(d []byte, in *Input) []byte { return text(d, in.Resource.Path) }},
		{"resource.ancestors", place}, // follow from both
		{"resource.segments", func(d []byte, in *Input) []byte { return text(d, in.Resource.Path) }},
		{"resource.relative", func(d []byte, in *Input) []byte { return relativeKey(d, in) }},
		{"resource.relative_segments", func(d []byte, in *Input) []byte { return relativeKey(d, in) }},
		{"resource.matches", func(d []byte, in *Input) []byte { return relativeKey(d, in) }}, // with the claims, which are read then
		{"resource.metadata", func(d []byte, _ *Input) []byte { return append(d, 0) }},
		{"resource.version", func(d []byte, in *Input) []byte { return integer(d, int64(in.Resource.Version)) }},
		{"args.keys", func(d []byte, in *Input) []byte { return texts(d, in.Args.Keys) }},
		{"args.bytes", func(d []byte, in *Input) []byte { return integer(d, int64(in.Args.Bytes)) }},
		{"args.values", func(d []byte, in *Input) []byte { return anything(d, in.Args.Values) }},
		{"args.fields", func(d []byte, in *Input) []byte { return sizes(d, in.Args.Fields) }},
		{"args.items", func(d []byte, in *Input) []byte { return integer(d, int64(in.Args.Items)) }},
		{"context.time.unix_s", func(d []byte, in *Input) []byte { return integer(d, in.Context.Time.UnixS) }},
		{"context.time.weekday", func(d []byte, in *Input) []byte { return text(d, in.Context.Time.Weekday) }},
		{"context.time.hour_utc", func(d []byte, in *Input) []byte { return integer(d, int64(in.Context.Time.HourUTC)) }},
		{"context.time.minute_utc", func(d []byte, in *Input) []byte { return integer(d, int64(in.Context.Time.MinuteUTC)) }},
		{"context.time.date", func(d []byte, in *Input) []byte { return text(d, in.Context.Time.Date) }},
		{"context.time.local.zone", func(d []byte, in *Input) []byte { return text(d, in.Context.Time.Local.Zone) }},
		{"context.time.local.date", func(d []byte, in *Input) []byte { return text(d, in.Context.Time.Local.Date) }},
		{"context.time.local.weekday", func(d []byte, in *Input) []byte { return text(d, in.Context.Time.Local.Weekday) }},
		{"context.time.local.hour", func(d []byte, in *Input) []byte { return integer(d, int64(in.Context.Time.Local.Hour)) }},
		{"context.time.local.minute", func(d []byte, in *Input) []byte { return integer(d, int64(in.Context.Time.Local.Minute)) }},
		{"context.client.name", func(d []byte, in *Input) []byte { return text(d, in.Context.Client.Name) }},
		{"context.client.version", func(d []byte, in *Input) []byte { return text(d, in.Context.Client.Version) }},
		{"context.client.session", func(d []byte, in *Input) []byte { return text(d, in.Context.Client.Session) }},
		{"context.source_ip", func(d []byte, in *Input) []byte { return text(d, in.Context.SourceIP) }},
	}
}

// Keyer writes the fields that decide into a key.
type Keyer struct{ fields []field }

// NewKeyer makes a keyer of the leaves that are read, without those to leave out.
func NewKeyer(r Reads, without ...string) Keyer {
	var k Keyer
next:
	for _, f := range leaves() {
		for _, w := range without {
			if f.path == w {
				continue next
			}
		}
		if r.Any(f.path) {
			k.fields = append(k.fields, r.narrowed(f))
		}
	}
	return k
}

// narrowed is a leaf that may have any fields, as arguments and claims, with those alone
// that are read by their names.
func (r Reads) narrowed(f field) field {
	of := func(in *Input) map[string]any { return in.Args.Values }
	switch f.path {
	case "args.values":
	case "principal.claims":
		of = func(in *Input) map[string]any { return in.Principal.Claims }
	default:
		return f
	}
	names := r.Names(f.path)
	if names == nil {
		return f
	}
	return field{f.path, func(d []byte, in *Input) []byte {
		all := of(in)
		for _, n := range names {
			v, there := all[n]
			d = anything(boolean(d, there), v)
		}
		return d
	}}
}

// below makes a keyer of everything in a part of the input, but for a group that is
// not read and so is not written.
func below(part string, r Reads) Keyer {
	var k Keyer
	for _, f := range leaves() {
		unread := false
		for _, g := range []string{"principal.auth", "principal.claims", "principal.acting", "principal.actors", "request.id", "request.reason"} {
			unread = unread || within(f.path, g) && !r.Any(g)
		}
		if within(f.path, part) && !unread {
			k.fields = append(k.fields, f)
		}
	}
	return k
}

// Append writes the key of an input. Two inputs have the same key if and only if
// they agree in every field that is read.
func (k Keyer) Append(dst []byte, in *Input) []byte {
	for _, f := range k.fields {
		dst = f.write(dst, in)
	}
	return dst
}

func text(d []byte, s string) []byte {
	return append(binary.AppendUvarint(d, uint64(len(s))), s...)
}

func texts(d []byte, list []string) []byte {
	d = binary.AppendUvarint(d, uint64(len(list)))
	for _, s := range list {
		d = text(d, s)
	}
	return d
}

func integer(d []byte, n int64) []byte { return binary.AppendVarint(d, n) }

func boolean(d []byte, b bool) []byte {
	if b {
		return append(d, 1)
	}
	return append(d, 0)
}

// anything writes the arguments' values, whose maps encoding/json sorts.
func anything(d []byte, v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		return text(d, "?")
	}
	return text(d, string(raw))
}

func (a *Actor) key(d []byte) []byte {
	if a == nil {
		return append(d, 0)
	}
	return text(text(append(d, 1), a.ID), a.Kind)
}

func actors(d []byte, list []Actor) []byte {
	d = binary.AppendUvarint(d, uint64(len(list)))
	for _, a := range list {
		d = a.key(d)
	}
	return d
}

func maybe(d []byte, n *int) []byte {
	if n == nil {
		return append(d, 0)
	}
	return integer(append(d, 1), int64(*n))
}

func relativeKey(d []byte, in *Input) []byte {
	return text(text(text(d, in.Resource.Mount), in.Resource.Path), in.Principal.Prefix)
}

func sizes(d []byte, fields map[string]int) []byte {
	d = binary.AppendUvarint(d, uint64(len(fields)))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		d = integer(text(d, name), int64(fields[name]))
	}
	return d
}
