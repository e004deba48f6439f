package server

import (
	"context"

	"portcullis/gateway/call"
	"portcullis/gateway/obs"
	"portcullis/gateway/policy"
	"portcullis/gateway/vault/leases"
)

// AuthConfig is what authentication gets of a configuration.
var AuthConfig = authConfig

// PolicyPart is what /readyz says of a policy.
func PolicyPart(e *policy.Engine) obs.Part { return (&Server{policy: e}).policyPart() }

// MayHold reports whether a caller may go on holding a lease of a role.
func (g *Server) MayHold(ctx context.Context, c *call.Caller, id, role string) bool {
	return g.mayHold(ctx, c, leases.Held{ID: id, Role: role})
}

// Revoked reports whether a caller, or on whose behalf it calls, was shut out.
func (g *Server) Revoked(c *call.Caller) bool { return g.auth.Revoked(c) }
