package callers

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// createBatchToken creates the token that a caller's requests carry: a batch token, which
// Vault neither stores nor lists (auth/token/create, Vault API).
func (s *State) createBatchToken(ctx context.Context, t *tokenSet) (tokencache.Token, error) {
	if err := s.preparePolicies(ctx, t); err != nil {
		return tokencache.Token{}, err
	}
	return s.createToken(ctx, t, s.registry.Role, "batch", s.registry.TTL)
}

// preparePolicies brings the policies up to date before a token is created that carries
// them.
func (s *State) preparePolicies(ctx context.Context, t *tokenSet) error {
	if s.closed() {
		return tokencache.ErrClosed
	}
	if s.registry.loggedIn() {
		return nil // Vault's own, which the gateway may not write
	}
	if err := s.syncPolicies(ctx, t); err != nil {
		return err
	}
	if len(t.names) == 0 {
		return call.Errorf(call.Forbidden, "denied by policy")
	}
	return nil
}

// createLeaseToken creates the token that a caller's leases depend on, and registers it,
// so that it can be renewed and revoked after a restart. A token that cannot be
// registered is revoked and not used.
func (s *State) createLeaseToken(ctx context.Context, t *tokenSet) (tokencache.Token, error) {
	if err := s.preparePolicies(ctx, t); err != nil {
		return tokencache.Token{}, err
	}
	token, err := s.createToken(ctx, t, s.registry.LeaseRole, "service", s.registry.LeaseTTL)
	if err != nil {
		return token, err
	}
	if err := s.registry.RegisterToken(ctx, s.key, token); err != nil {
		return tokencache.Token{}, errors.Join(err, s.registry.RevokeToken(context.WithoutCancel(ctx), s.key, token.Accessor))
	}
	return token, nil
}

// createToken creates a token with the caller's policies alone. Vault's audit log shows
// its display name and metadata, which name the caller.
func (s *State) createToken(ctx context.Context, t *tokenSet, role, kind string, ttl time.Duration) (tokencache.Token, error) {
	if s.registry.loggedIn() {
		return s.logIn(ctx, t, role)
	}
	c := s.holder(t)
	raw, err := json.Marshal(map[string]any{
		"policies": t.names, "type": kind, "ttl": ttl.String(), "renewable": kind == "service",
		"no_default_policy": true, "display_name": "portcullis-" + c.Subject,
		"meta": map[string]string{"caller": s.key, "subject": c.Subject, "tenant": c.Tenant, "kind": c.Kind},
	})
	if err != nil {
		return tokencache.Token{}, err
	}
	a := wire.WantToken()
	// A token whose reply is lost is known to nobody, so a second request is safe.
	err = s.registry.Send(ctx, wire.Request{Method: wire.Post, Path: "auth/token/create/" + role, Body: raw, Caller: s.key, Safe: kind == "batch"}, a)
	CountToken(kind, err)
	if err = operatorError(err); call.Is(err, call.VaultAuth) {
		s.registry.logRole(role, err)
	}
	return a.Token(), err
}

// logRole logs, once a minute for each token role, that callers get no tokens.
func (r *Registry) logRole(role string, err error) {
	r.mu.Lock()
	tell := time.Since(r.roleTold[role]) > time.Minute
	if tell {
		r.roleTold[role] = time.Now()
	}
	r.mu.Unlock()
	if tell {
		r.Log.Error("Vault makes no tokens for callers, so their calls are refused: check that the token role exists (vault read auth/token/roles/ROLE) and that the gateway's policy allows auth/token/create/ROLE",
			"token_role", role, "cause", err)
	}
}

// logIn logs a caller in to Vault (auth/jwt/login, Vault API). What its token may do is
// what Vault says of the caller's entity and the role.
func (s *State) logIn(ctx context.Context, t *tokenSet, role string) (tokencache.Token, error) {
	jwt, err := s.registry.Assert(s.holder(t), t.claims, role)
	if err != nil {
		return tokencache.Token{}, call.Wrap(call.VaultAuth, "the gateway cannot sign who the caller is", err)
	}
	raw, err := json.Marshal(map[string]string{"role": role, "jwt": jwt.Reveal()})
	if err != nil {
		return tokencache.Token{}, err
	}
	a := wire.WantToken()
	err = s.registry.Send(ctx, wire.Request{Method: wire.Post, Path: "auth/" + s.registry.Mount + "/login", Body: raw, Caller: s.key, Safe: true}, a)
	return a.Token(), operatorError(err)
}

// operatorError hides what only the operator can correct: a token role or a capability
// that the gateway lacks.
func operatorError(err error) error {
	switch e := call.AsError(err); {
	case e == nil:
		return nil
	case e.Code == call.OutcomeUnknown: // of the token; the operation itself has not been sent
		return call.Wrap(call.VaultTimeout, "Vault did not answer completely", err)
	case e.Code == call.Forbidden, e.Code == call.InvalidRequest, e.Code == call.NotFound:
		return call.Wrap(call.VaultAuth, "the gateway cannot get a Vault token for the caller", err)
	default:
		return err
	}
}

// RevokeToken revokes the token of a caller's leases, and the leases with it
// (auth/token/revoke-accessor, Vault API). An accessor that Vault does not know any more
// is no error.
func (r *Registry) RevokeToken(ctx context.Context, key, accessor string) error {
	raw, err := json.Marshal(map[string]string{"accessor": accessor})
	if err != nil {
		return err
	}
	err = r.Send(ctx, wire.Request{Method: wire.Post, Path: "auth/token/revoke-accessor", Body: raw, Caller: key}, nil)
	if call.Is(err, call.NotFound) {
		return nil
	}
	return err
}

// RenewToken renews the token of a caller's leases (auth/token/renew-accessor, Vault API)
// and returns its new TTL.
func (r *Registry) RenewToken(ctx context.Context, key, accessor string) (time.Duration, error) {
	raw, err := json.Marshal(map[string]string{"accessor": accessor})
	if err != nil {
		return 0, err
	}
	a := wire.WantTTL()
	err = r.Send(ctx, wire.Request{Method: wire.Post, Path: "auth/token/renew-accessor", Body: raw, Caller: key, Safe: true}, a)
	return a.Token().Life, err
}
