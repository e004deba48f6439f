package document

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Input is what the policy is asked. Its names follow AuthZEN 1.0. No token and
// no secret value is ever in it.
type Input struct {
	V         int       `json:"v"`
	Request   Request   `json:"request"`
	Principal Principal `json:"principal"`
	Action    Action    `json:"action"`
	Resource  Resource  `json:"resource"`
	Args      Args      `json:"args"`
	Context   Context   `json:"context"`
}

// Request says how and why the policy is asked.
type Request struct {
	ID        string `json:"id"`
	Transport string `json:"transport"`
	Phase     string `json:"phase"`
}

// Principal is the caller as it was authenticated.
type Principal struct {
	ID         string   `json:"id"`
	Kind       string   `json:"kind"`
	Tenant     string   `json:"tenant"`
	Issuer     string   `json:"issuer"`
	Prefix     string   `json:"prefix"` // the caller's own part of the KV mount
	Tier       string   `json:"tier"`   // the caller's rate tier; before the policy is asked, the one that the credential was registered with
	Roles      []string `json:"roles"`
	Scopes     []string `json:"scopes"`
	OnBehalfOf *Actor   `json:"on_behalf_of"`
	Auth       Auth     `json:"auth"`
}

// Actor is who acts for the principal (RFC 8693 section 4.1).
type Actor struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
}

// Auth is how the principal proved itself.
type Auth struct {
	Method string `json:"method"`
	AgeS   int    `json:"age_s"` // seconds since the credential was issued, 0 when unknown
	CertFP string `json:"cert_fp"`
}

// Action is the operation, from the catalogue and never from the caller.
type Action struct {
	Op     string `json:"op"`
	Engine string `json:"engine"`
	Effect string `json:"effect"`
	Public bool   `json:"public"` // every authenticated caller may, without a scope
}

// Resource is what the operation acts on. Ancestors are the path and every path
// above it, longest first.
type Resource struct {
	Mount     string   `json:"mount"`
	Path      string   `json:"path"`
	Ancestors []string `json:"ancestors"`
	Version   int      `json:"version"`
}

// Args are the arguments. Values are there only for a policy that reads them, and
// without secrets.
type Args struct {
	Keys   []string       `json:"keys"`
	Bytes  int            `json:"bytes"`
	Values map[string]any `json:"values"`
}

// Context is what the call does not say itself.
type Context struct {
	Time     Time   `json:"time"`
	SourceIP string `json:"source_ip"`
}

// Time is when the call came in. It is the only clock that a policy has.
type Time struct {
	UnixS   int64  `json:"unix_s"`
	Weekday string `json:"weekday"` // "monday"
	HourUTC int    `json:"hour_utc"`
}

// At is the Time of t.
func At(t time.Time) Time {
	u := t.UTC()
	return Time{UnixS: u.Unix(), Weekday: weekday(u.Weekday()), HourUTC: u.Hour()}
}

func weekday(d time.Weekday) string {
	return [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}[d]
}

// Facts are what an input is made of. They hold no secret and may be kept.
type Facts struct {
	Caller   *call.Caller
	Op       *op.Op
	Request  Request
	Resource call.Resource
	Keys     []string
	Bytes    int
	Time     time.Time
}

// FactsOf are the facts of a bound call.
func FactsOf(b *op.Bound) Facts {
	r := b.Request
	f := Facts{
		Caller: b.Caller, Op: b.Op, Resource: b.Resource, Keys: b.Keys, Bytes: b.Bytes, Time: r.Time,
		Request: Request{r.ID, string(r.Transport), string(r.Phase)},
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
		Caller: c, Op: o, Resource: call.Resource{Mount: o.Mount}, Time: now,
		Request: Request{Phase: string(op.PhaseList)},
	}
}

// Input makes the input. What costs something to write and is not read is left
// empty. Values are never filled in.
func (f *Facts) Input(r Reads) Input {
	in := f.Outline(r)
	in.Resource.Ancestors = f.Resource.Path.Ancestors()
	return in
}

// Outline is the input without the ancestors, which follow from the path: enough
// for the key of a decision.
func (f *Facts) Outline(r Reads) Input {
	in := Input{
		V:         Version,
		Request:   f.Request,
		Principal: principal(f.Caller, f.Time),
		Action:    Action{f.Op.Name, f.Op.Engine, string(f.Op.Effect), f.Op.Public},
		Resource:  Resource{Mount: f.Resource.Mount, Path: f.Resource.Path.String(), Version: f.Resource.Version},
		Args:      Args{Keys: f.Keys, Bytes: f.Bytes},
		Context:   Context{Time: At(f.Time)},
	}
	if r.Any("context.source_ip") && f.Caller.SourceIP.IsValid() {
		in.Context.SourceIP = f.Caller.SourceIP.String()
	}
	return in
}

func principal(c *call.Caller, now time.Time) Principal {
	p := Principal{
		ID: c.Subject, Kind: c.Kind, Tenant: c.Tenant, Issuer: c.Issuer,
		Prefix: c.Prefix.String(), Tier: c.Tier, Roles: c.Roles, Scopes: c.Scopes,
		Auth: Auth{Method: string(c.Method), CertFP: c.CertFP},
	}
	if c.OnBehalfOf != nil {
		p.OnBehalfOf = &Actor{c.OnBehalfOf.Subject, c.OnBehalfOf.Kind}
	}
	if !c.AuthTime.IsZero() && now.After(c.AuthTime) {
		p.Auth.AgeS = int(now.Sub(c.AuthTime).Seconds())
	}
	return p
}

// ParseInput reads an input that was written by hand or recorded. A field that is
// missing is filled from the path where that is possible (ancestors) and is an
// error where it would change the question (v, principal.id, action.op).
func ParseInput(raw []byte) (Input, error) {
	var in Input
	if err := json.Unmarshal(raw, &in, json.RejectUnknownMembers(true)); err != nil {
		return in, fmt.Errorf("read the input: %w", err)
	}
	if in.V != Version || in.Principal.ID == "" || in.Action.Op == "" {
		return in, fmt.Errorf("the input needs v %d, principal.id and action.op", Version)
	}
	if in.Resource.Path == "" {
		in.Resource.Ancestors = nil
		return in, nil
	}
	p, err := call.ParsePath(strings.TrimSuffix(in.Resource.Path, "/"))
	if err != nil {
		return in, fmt.Errorf("resource.path: %w", err)
	}
	in.Resource.Path, in.Resource.Ancestors = p.String(), p.Ancestors()
	return in, nil
}
