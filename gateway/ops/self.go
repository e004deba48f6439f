package ops

import (
	"context"
	"slices"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// self is what a caller may ask about itself; it never reaches Vault.
func self(m Mounts) []*op.Op {
	return []*op.Op{
		op.New(op.Spec{
			Name: "self.echo", Engine: "self", Effect: op.Read, Idempotent: true,
			Method: "GET", Path: "/debug/echo", Headers: "headers",
			Title: "Echo headers", Doc: "Say which headers of yours reached the gateway; no value is shown.",
		}, echo),
		op.New(op.Spec{
			Name: "self.explain", Engine: "self", Effect: op.Read, Idempotent: true, Public: true,
			Method: "GET", Path: "/decisions/:decision_id",
			Title: "Explain a decision", Doc: "Say why a call of your own was allowed or denied.",
		}, explain(m)),
		op.New(op.Spec{
			Name: "self.whoami", Engine: "self", Effect: op.Read, Idempotent: true, Public: true,
			Method: "GET", Path: "/whoami",
			Title: "Who am I", Doc: "Say who the gateway believes that you are.",
		}, whoami),
	}
}

type nothing struct{}

// Target implements op.Target.
func (*nothing) Target(op.At) (call.Resource, error) { return call.Resource{}, nil }

type whoamiOut struct {
	Subject         string   `json:"subject" jsonschema:"who you are here, as one segment of a path"`
	RawSubject      string   `json:"raw_subject" jsonschema:"who you are to your issuer; the subject is made of it"`
	Kind            string   `json:"kind" jsonschema:"agent, human or service"`
	Tenant          string   `json:"tenant" jsonschema:"your tenant, empty for none"`
	Issuer          string   `json:"issuer" jsonschema:"who vouches for you, empty for API keys"`
	Roles           []string `json:"roles" jsonschema:"your roles, as your credential says them"`
	Groups          []string `json:"groups" jsonschema:"your groups, as your credential says them"`
	Scopes          []string `json:"scopes" jsonschema:"your scopes"`
	OnBehalfOf      string   `json:"on_behalf_of" jsonschema:"who acts in your name, or on whose behalf a second credential says that you call; empty for nobody"`
	AuthMethod      string   `json:"auth_method" jsonschema:"what says who you are: api_key, jwt or mtls"`
	Certificate     string   `json:"certificate" jsonschema:"SHA-256 of your client certificate in hex, empty for none; beside a key or a token it does not say who you are"`
	VaultPathPrefix string   `json:"vault_path_prefix" jsonschema:"where your own secrets live"`
}

func whoami(_ context.Context, s *vault.Session, _ nothing) (whoamiOut, error) {
	c := s.Caller()
	out := whoamiOut{
		Subject: c.Subject, Kind: c.Kind, Tenant: c.Tenant, Issuer: c.Issuer,
		RawSubject: c.RawSubject, Groups: slices.Concat([]string{}, c.Groups),
		Roles: slices.Concat([]string{}, c.Roles), Scopes: slices.Concat([]string{}, c.Scopes),
		AuthMethod: string(c.Method), Certificate: c.CertFP, VaultPathPrefix: c.Prefix.String(),
	}
	if c.Behalf != nil {
		out.OnBehalfOf = c.Behalf.Subject
	}
	if c.OnBehalfOf != nil {
		out.OnBehalfOf = c.OnBehalfOf.Subject
	}
	return out, nil
}

type echoIn struct {
	Headers map[string]call.Secret `json:"headers,omitzero" jsonschema:"filled by the gateway over REST"`
}

// Target implements op.Target.
func (*echoIn) Target(op.At) (call.Resource, error) { return call.Resource{}, nil }

type echoOut struct {
	Headers map[string]string `json:"headers" jsonschema:"the names of the headers; each value is [redacted]"`
}

func echo(_ context.Context, _ *vault.Session, in echoIn) (echoOut, error) {
	out := echoOut{Headers: map[string]string{}}
	for name := range in.Headers {
		out.Headers[name] = call.Redacted
	}
	return out, nil
}

type explainIn struct {
	DecisionID call.Name `json:"decision_id" jsonschema:"the id that came with the answer"`
}

// Target implements op.Target.
func (*explainIn) Target(op.At) (call.Resource, error) { return call.Resource{}, nil }

// Explanation is what a caller may know of a decision about itself.
type Explanation struct {
	DecisionID     string      `json:"decision_id" jsonschema:"the decision"`
	Time           string      `json:"time" jsonschema:"when it was made, RFC 3339"`
	Op             string      `json:"op" jsonschema:"the operation"`
	Path           string      `json:"path" jsonschema:"what the operation was to act on, below its mount"`
	Allow          bool        `json:"allow" jsonschema:"whether it was allowed"`
	Code           string      `json:"code" jsonschema:"ok, or the code of the denial"`
	Reasons        []op.Reason `json:"reasons" jsonschema:"why it was denied, as far as you may know"`
	RequiredScopes []string    `json:"required_scopes" jsonschema:"the scopes that the operation needs"`
	Tier           string      `json:"tier" jsonschema:"the rate tier that was charged"`
	Deliver        string      `json:"deliver" jsonschema:"the form in which results leave: plain, masked or wrapped"`
}

func explain(m Mounts) func(context.Context, *vault.Session, explainIn) (Explanation, error) {
	return func(ctx context.Context, s *vault.Session, in explainIn) (Explanation, error) {
		if m.Explain == nil {
			return Explanation{}, call.Errorf(call.NotFound, "not found")
		}
		return m.Explain(ctx, s.Caller(), string(in.DecisionID))
	}
}
