package document

import (
	"slices"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Facts are what an input is made of. They hold no secret and may be kept.
type Facts struct {
	Caller      *call.Caller
	Op          *op.Op
	Destructive bool // what the call removes cannot be brought back
	Request     Request
	Resource    call.Resource
	Keys        []string
	Bytes       int
	Fields      map[string]int // see Measure
	Items       int            // see Measure
	Client      op.Client
	Time        time.Time
}

// FactsOf are the facts of a bound call.
func FactsOf(b *op.Bound) Facts {
	r := b.Request
	f := Facts{
		Caller: b.Caller, Op: b.Op, Destructive: b.Destructive, Resource: b.Resource, Keys: b.Keys, Bytes: b.Bytes, Time: r.Time, Client: r.Client,
		Request: Request{
			ID: r.ID, Transport: string(r.Transport), Phase: string(r.Phase), Deliver: string(r.Deliver),
			WrapTTLS: int(r.WrapTTL / time.Second), TTLS: asked(b), Reason: r.Reason,
		},
	}
	if r.Phase == "" {
		f.Request.Phase = string(op.PhaseCall)
	}
	return f
}

// FactsOfList are the facts of the question whether a caller could call an
// operation at all.
func FactsOfList(c *call.Caller, o *op.Op, now time.Time) Facts {
	return Facts{
		Caller: c, Op: o, Destructive: o.Destructive, Resource: call.Resource{Mount: o.Mount}, Time: now,
		Request: Request{Phase: string(op.PhaseList)},
	}
}

// Input makes the input. What costs something to write and is not read is left
// empty. Values are never filled in.
func (f *Facts) Input(r Reads) Input {
	in := f.Outline(r)
	f.Complete(&in, r)
	return in
}

// Complete adds to an outline what follows from the rest of it.
func (f *Facts) Complete(in *Input, r Reads) {
	in.Resource.Ancestors = f.Op.Names(f.Resource.Mount, f.Resource.Path)
	in.Resource.Matches = []Match{}
	if r.Any("resource.segments") {
		in.Resource.Segments = segments(in.Resource.Path)
	}
	if r.Any("resource.relative") || r.Any("resource.relative_segments") {
		in.relative()
	}
	if in.Principal.Claims == nil {
		in.Principal.Claims = nothing
	}
	if in.Args.Fields == nil {
		in.Args.Fields = noFields
	}
	in.Context.Session = nothing
}

// What is empty in almost every input is shared by all of them: nobody changes an input's
// maps, but copies them first.
var (
	nothing  = map[string]any{}
	noFields = map[string]int{}
)

// relative fills in what the path is below the caller's own prefix.
func (in *Input) relative() {
	in.Resource.Relative, in.Resource.RelativeSegments = nil, []string{}
	rest, below := strings.CutPrefix(in.Resource.Path, strings.TrimPrefix(in.Principal.Prefix, in.Resource.Mount+":"))
	if in.Action.Engine != "kv" || !below || in.Principal.Prefix == "" || rest != "" && rest[0] != '/' {
		return
	}
	rest = strings.TrimPrefix(rest, "/")
	in.Resource.Relative = &rest
	if all := in.Resource.Segments; rest != "" && len(all) > 0 {
		in.Resource.RelativeSegments = all[len(all)-1-strings.Count(rest, "/"):]
		return
	}
	in.Resource.RelativeSegments = segments(rest)
}

func segments(path string) []string {
	if path == "" {
		return []string{}
	}
	return strings.Split(path, "/")
}

// Outline is the input without what follows from the rest of it: enough for the key of
// a decision.
func (f *Facts) Outline(r Reads) Input {
	in := Input{
		V:         Version,
		Request:   f.Request,
		Principal: principal(f.Caller, f.Time),
		Action:    Action{f.Op.Name, f.Op.Engine, string(f.Op.Effect), f.Op.Public, f.Destructive},
		Resource:  Resource{Mount: f.Resource.Mount, Path: f.Resource.Path.String(), Version: f.Resource.Version},
		Args:      Args{Keys: f.Keys, Bytes: f.Bytes, Fields: f.Fields, Items: f.Items},
		Context:   Context{Time: clock(f.Time), Client: Client(f.Client)},
	}
	if f.Op.Engine == "kv" && f.Resource.Mount != f.Op.Mount {
		in.Principal.Prefix = f.Op.OwnName(f.Resource.Mount, f.Caller)
		if f.Caller.Behalf != nil {
			in.Principal.OnBehalfOf.Prefix = f.Op.OwnName(f.Resource.Mount, f.Caller.Behalf)
		}
	}
	if r.Any("context.time.date") {
		in.Context.Time.Date = f.Time.UTC().Format(time.DateOnly)
	}
	if r.Any("context.time.local") {
		in.Context.Time.Local = local(f.Time, r.zone)
	}
	if r.Any("context.source_ip") && f.Caller.SourceIP.IsValid() {
		in.Context.SourceIP = f.Caller.SourceIP.String()
	}
	return in
}

func principal(c *call.Caller, now time.Time) Principal {
	p := Principal{
		ID: c.Subject, Kind: c.Kind, Tenant: c.Tenant, Issuer: c.Issuer, Acting: Actor{c.Subject, c.Kind},
		Prefix: c.Prefix.String(), Tier: c.Tier, Roles: c.Roles, Scopes: c.Scopes, Claims: c.Claims, Actors: []Actor{},
		Auth: Auth{Method: string(c.Method), CertFP: c.CertFP},
	}
	for a := c.OnBehalfOf; a != nil; a = a.Next {
		p.Actors = append(p.Actors, Actor{a.Subject, a.Kind})
	}
	p.delegate()
	if c.Behalf != nil {
		p.OnBehalfOf = second(c.Behalf)
	}
	issued := c.AuthTime
	if issued.IsZero() {
		issued = c.Created
	}
	if !issued.IsZero() {
		created, age := int(issued.Unix()), max(0, int(now.Sub(issued).Seconds()))
		p.Auth.CreatedS, p.Auth.AgeS = &created, &age
	}
	return p
}

// delegate says who sends the call and for whom, when somebody acts for the principal.
// A rule about people must not be passed by an agent that acts for one, so the kind is
// that of the least trusted of all of them.
func (p *Principal) delegate() {
	if len(p.Actors) == 0 {
		return
	}
	p.Acting, p.OnBehalfOf = p.Actors[0], p.itself()
	for _, a := range p.Actors {
		p.Kind = lessTrusted(p.Kind, a.Kind)
	}
}

// lessTrusted is the one of two kinds that is further from a person. What is unknown is
// furthest.
func lessTrusted(a, b string) string {
	order := []string{"agent", "service", "human"}
	if slices.Index(order, b) < slices.Index(order, a) {
		return b
	}
	return a
}
