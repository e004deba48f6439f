package ops

import (
	"context"
	"slices"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// self is what a caller may ask about itself; it never reaches Vault.
func self() []*op.Op {
	return []*op.Op{
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
	Subject         string   `json:"subject" jsonschema:"who you are"`
	Kind            string   `json:"kind" jsonschema:"agent, human or service"`
	Tenant          string   `json:"tenant" jsonschema:"your tenant, empty for none"`
	Issuer          string   `json:"issuer" jsonschema:"who vouches for you, empty for API keys"`
	Roles           []string `json:"roles" jsonschema:"your roles"`
	Scopes          []string `json:"scopes" jsonschema:"your scopes"`
	OnBehalfOf      string   `json:"on_behalf_of" jsonschema:"who acts in your name, empty for nobody"`
	AuthMethod      string   `json:"auth_method" jsonschema:"api_key, jwt or mtls"`
	VaultPathPrefix string   `json:"vault_path_prefix" jsonschema:"where your own secrets live"`
}

func whoami(_ context.Context, s *vault.Session, _ nothing) (whoamiOut, error) {
	c := s.Caller()
	out := whoamiOut{
		Subject: c.Subject, Kind: c.Kind, Tenant: c.Tenant, Issuer: c.Issuer,
		Roles: slices.Concat([]string{}, c.Roles), Scopes: slices.Concat([]string{}, c.Scopes),
		AuthMethod: string(c.Method), VaultPathPrefix: c.Prefix.String(),
	}
	if c.OnBehalfOf != nil {
		out.OnBehalfOf = c.OnBehalfOf.Subject
	}
	return out, nil
}
