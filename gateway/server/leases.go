package server

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/auth/principal"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vault/leases"
	"portcullis/gateway/vaultpolicy"
)

// CallerPolicies says what Vault is to let a caller do for operations on an engine, or all:
// what its subject may with no roles, and what the credential at hand may beyond that or
// instead.
func CallerPolicies(rules vaultpolicy.Rights, base call.Path) func(*call.Caller, string) (callers.Policies, error) {
	return func(c *call.Caller, engine string) (callers.Policies, error) {
		bare := &call.Caller{Tenant: c.Tenant, Subject: c.Subject, Method: call.APIKey}
		if err := principal.Check(bare, base); err != nil {
			return callers.Policies{}, err
		}
		own, subject := rules(c, engine), rules(bare, engine)
		more, within := own.Beyond(subject)
		p := callers.Policies{Subject: subject.HCL(), Additional: more.HCL(), Replaces: !within}
		if p.Replaces {
			p.Additional = own.HCL()
		}
		return p, nil
	}
}

// mayHold reports whether a caller may go on holding a lease: the policy would
// still issue the credentials, to it and to whom it holds them for. Scopes are a
// credential's, and the lease outlives the credential that it was asked for with, so they
// do not matter. A policy that gives no answer takes nothing away.
func (g *Server) mayHold(ctx context.Context, c *call.Caller, h leases.Held) bool {
	args, err := json.Marshal(map[string]string{"role": h.Role})
	if err != nil {
		return false
	}
	operation, mount := g.issuerOf(h.ID)
	b, err := g.ops.Bind(&op.Request{ID: "lease", Transport: op.REST, Op: operation, Mount: mount, Args: args, Caller: lasting(c), Time: time.Now()})
	if err != nil {
		return false
	}
	d := g.policy.Decide(ctx, b)
	return d.Allow || d.Code != call.Forbidden
}

// lasting is a credential as its leases outlive it: with every scope, without an age and
// an end. It is the same with one of whom the leases are held for.
func lasting(c *call.Caller) *call.Caller {
	if c == nil {
		return nil
	}
	all := *c
	all.Scopes = slices.Concat(principal.AllScopes(), c.Scopes)
	all.Expires, all.AuthTime = time.Time{}, time.Time{}
	all.Behalf = lasting(c.Behalf)
	return &all
}

// issuerOf is the operation that has issued a lease, and in which mount: the mount is
// the beginning of the lease's id. A lease of a mount that the configuration does not
// have any more is nobody's.
func (g *Server) issuerOf(id string) (operation, mount string) {
	for _, o := range g.ops.All() {
		if !o.Vault.IssuesLease || o.OneTime {
			continue
		}
		for _, m := range o.Mounts() {
			if strings.HasPrefix(id, m.Path+"/creds/") && len(m.Path) > len(mount) {
				operation, mount = o.Name, m.Path
			}
		}
	}
	return operation, mount
}

// endRevoked takes from callers that are shut out what they hold in Vault, as soon
// as that is known, until ctx ends.
func (g *Server) endRevoked(ctx context.Context) {
	changed := g.auth.Changed()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		changed = g.auth.Changed() // before it is acted on, so that none is lost
		if err := g.vault.RevokeWhere(ctx, g.auth.Revoked); err != nil && ctx.Err() == nil {
			g.logs.Server.Warn("some leases, tokens or policies of a revoked caller could not be removed from Vault; the gateway tries again", "cause", err)
		}
	}
}

// watchVault adds what is known of Vault's load to the metrics.
func (g *Server) watchVault() {
	g.meter.Gauge("portcullis_vault_requests", func() float64 { n, _, _ := g.vault.Load(); return float64(n) })
	g.meter.Gauge("portcullis_vault_waiting", func() float64 { _, n, _ := g.vault.Load(); return float64(n) })
	g.meter.Gauge("portcullis_callers", func() float64 { return float64(g.vault.Callers()) })
	g.meter.Gauge("portcullis_vault_away", func() float64 {
		if _, _, away := g.vault.Load(); away {
			return 1
		}
		return 0
	})
}
