// Package callers keeps what the gateway holds in Vault for each caller: tokens of its
// own and the policies that they carry.
package callers

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// Config says how callers get Vault tokens of their own. Without them every caller's
// requests carry the gateway's token.
type Config struct {
	Enabled      bool
	TTL          time.Duration // of the batch token that a caller's requests carry, 90s
	LeaseTTL     time.Duration // of the token that a caller's leases depend on, renewed while there are any, 1h
	Role         string        // token role that batch tokens are created with, "mcp-gateway"
	LeaseRole    string        // token role, an orphan one, for tokens of leases, "mcp-gateway-lease"
	PolicyPrefix string        // of the callers' policies in Vault, "mcp-agent-"
	// PolicyFor says what Vault is to let a caller do for operations on an engine. After an
	// error the caller may do nothing.
	PolicyFor func(c *call.Caller, engine string) (Policies, error)
	// Engines are those that operations have, so that policies are found which another
	// replica has written.
	Engines []string
	// AsOf names what PolicyFor depends on beside the caller: while it is the same, so is what
	// PolicyFor says, and nobody is asked again. Optional.
	AsOf func() string

	// Claims are those of a caller's claims on which it depends what Vault is to let the
	// caller do, nil for none. Credentials that differ in them have tokens of their own.
	Claims func(*call.Caller) map[string]string

	// Assert signs who a caller is and what its Claims are, for a role of a JWT auth method
	// (Vault API, auth/jwt). With it callers are logged in to Vault, each as an entity of its
	// own, and neither PolicyFor nor a token of the gateway's has a part in what their tokens
	// may do.
	Assert func(c *call.Caller, claims map[string]string, role string) (call.Secret, error)
	Mount  string // of that method, below auth/
}

// loggedIn reports whether callers are logged in to Vault as themselves.
func (c Config) loggedIn() bool { return c.Assert != nil }

// Check reports a configuration that is contradictory.
func (c Config) Check() error {
	if c.Enabled && c.PolicyFor == nil && !c.loggedIn() {
		return errors.New("child tokens are enabled, but nothing says what callers' policies are")
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.TTL <= 0 {
		c.TTL = 90 * time.Second
	}
	if c.LeaseTTL <= 0 {
		c.LeaseTTL = time.Hour
	}
	c.Role = cmp.Or(c.Role, "mcp-gateway")
	c.LeaseRole = cmp.Or(c.LeaseRole, "mcp-gateway-lease")
	c.PolicyPrefix = cmp.Or(c.PolicyPrefix, "mcp-agent-")
	return c
}

// Backend is what the registry needs of its surroundings.
type Backend struct {
	Send    wire.Send     // sends a request with the gateway's own token
	Timeout time.Duration // of one request
	// RegisterToken notes the token of a caller's leases, so that it can be renewed and
	// revoked after a restart.
	RegisterToken func(ctx context.Context, callerKey string, t tokencache.Token) error
	Log           *slog.Logger
}
