package document

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
)

// Represented is on whose behalf a call is made: the principal itself, when its token
// says who acts for it (RFC 8693 section 4.1), or whom a second credential names beside
// the sender's (X-On-Behalf-Of).
type Represented struct {
	ID     string         `json:"id"`
	Kind   string         `json:"kind"`
	Tenant string         `json:"tenant"`
	Issuer string         `json:"issuer"`
	Prefix string         `json:"prefix"`
	Tier   string         `json:"tier"`
	Roles  []string       `json:"roles"`
	Scopes []string       `json:"scopes"`
	Claims map[string]any `json:"claims"`
	// Credential is the second one, null when the principal itself is represented.
	Credential *Credential `json:"credential"`
}

// Credential is how somebody who does not send the call has proved itself.
type Credential struct {
	Method   string `json:"method"`
	CreatedS *int   `json:"created_s"` // when it was issued, in Unix seconds, null when unknown
}

// second is whom a second credential names.
func second(c *call.Caller) *Represented {
	r := &Represented{
		ID: c.Subject, Kind: c.Kind, Tenant: c.Tenant, Issuer: c.Issuer, Prefix: c.Prefix.String(), Tier: c.Tier,
		Roles: c.Roles, Scopes: c.Scopes, Claims: c.Claims, Credential: &Credential{Method: string(c.Method)},
	}
	if r.Claims == nil {
		r.Claims = map[string]any{}
	}
	if !c.AuthTime.IsZero() {
		created := int(c.AuthTime.Unix())
		r.Credential.CreatedS = &created
	}
	return r
}

// itself is the principal as the one who is represented.
func (p *Principal) itself() *Represented {
	claims := p.Claims
	if claims == nil {
		claims = map[string]any{}
	}
	return &Represented{
		ID: p.ID, Kind: p.Kind, Tenant: p.Tenant, Issuer: p.Issuer, Prefix: p.Prefix, Tier: p.Tier,
		Roles: p.Roles, Scopes: p.Scopes, Claims: claims,
	}
}

// Beside is the same question about whom a second credential names, as if that were the
// principal and the sender acted for it, nil when there is no second credential. A call is
// allowed when both questions are.
func (in *Input) Beside() *Input {
	r := in.Principal.OnBehalfOf
	if r == nil || r.Credential == nil {
		return nil
	}
	sender := Actor{in.Principal.ID, in.Principal.Kind}
	other := *in
	other.Principal = Principal{
		ID: r.ID, Kind: lessTrusted(r.Kind, sender.Kind), Tenant: r.Tenant, Issuer: r.Issuer, Prefix: r.Prefix, Tier: r.Tier,
		Roles: r.Roles, Scopes: r.Scopes, Claims: r.Claims, Acting: sender, Actors: []Actor{sender}, OnBehalfOf: r,
		Auth: Auth{Method: r.Credential.Method, CreatedS: r.Credential.CreatedS},
	}
	if at := r.Credential.CreatedS; at != nil {
		age := max(0, int(in.Context.Time.UnixS)-*at)
		other.Principal.Auth.AgeS = &age
	}
	if in.Resource.RelativeSegments != nil {
		other.relative()
	}
	return &other
}

// OfBehalf begins the name of a rule that refused whom a second credential names.
const OfBehalf = "on_behalf_of/"

// Meet is what two answers allow together, to the sender (o) and to whom a second
// credential names. Obligations are those of both, the tighter one where they differ;
// the tier and the prefix are the sender's.
func (o Output) Meet(b Output) Output {
	o.Behalf = &b
	o.DryRun = union(o.DryRun, b.DryRun)
	if !b.Allow {
		o.Allow = false
		for _, r := range b.Reasons {
			r.Msg, r.Rule = strings.TrimSpace("on whose behalf the call is made: "+r.Msg), OfBehalf+r.Rule
			o.Reasons = append(slices.Clip(o.Reasons), r)
		}
		return o
	}
	o.Obligations = o.Obligations.meet(b.Obligations)
	return o
}

func (o Obligations) meet(b Obligations) Obligations {
	wrapped, masked := "wrapped", "masked"
	o.Masked = o.Masked || b.Masked || o.Deliver == masked || b.Deliver == masked
	switch {
	case o.Deliver == wrapped || b.Deliver == wrapped:
		o.Deliver = wrapped
	case o.Masked:
		o.Deliver, o.Masked = masked, false
	}
	o.Transforms = bothTransforms(o.Transforms, b.Transforms)
	o.Fields = bothFields(o.Fields, b.Fields)
	o.WrapTTLS, o.MaxTTLS = leastOf(o.WrapTTLS, b.WrapTTLS), leastOf(o.MaxTTLS, b.MaxTTLS)
	o.MinTTLS, o.MinWrapTTLS = max(o.MinTTLS, b.MinTTLS), max(o.MinWrapTTLS, b.MinWrapTTLS)
	if o.Approval == nil {
		o.Approval = b.Approval
	}
	return o
}

// bothTransforms are all of two lists, in an order that does not depend on whose they are.
func bothTransforms(a, b []Transform) []Transform {
	key := func(t Transform) string {
		raw, err := json.Marshal(t, json.Deterministic(true))
		if err != nil {
			return t.Name
		}
		return string(raw)
	}
	var more []Transform
	for _, t := range b {
		if !slices.ContainsFunc(a, func(o Transform) bool { return key(o) == key(t) }) {
			more = append(more, t)
		}
	}
	if len(more) == 0 {
		return a
	}
	all := slices.Concat(a, more)
	slices.SortFunc(all, func(x, y Transform) int { return strings.Compare(key(x), key(y)) })
	return all
}

// bothFields are the fields that both show; nil is all.
func bothFields(a, b []string) []string {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return slices.DeleteFunc(slices.Clone(a), func(f string) bool { return !slices.Contains(b, f) })
}

// leastOf is the smaller of two bounds, of which 0 is none.
func leastOf(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// key writes everything of it.
func (r *Represented) key(d []byte) []byte {
	if r == nil {
		return append(d, 0)
	}
	d = append(d, 1)
	for _, s := range []string{r.ID, r.Kind, r.Tenant, r.Issuer, r.Prefix, r.Tier} {
		d = text(d, s)
	}
	d = anything(texts(texts(d, r.Roles), r.Scopes), r.Claims)
	if r.Credential == nil {
		return append(d, 0)
	}
	return maybe(text(append(d, 1), r.Credential.Method), r.Credential.CreatedS)
}
