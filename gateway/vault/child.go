package vault

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/credential"
)

// newBatch creates the token that a caller's requests carry: a batch token, which
// Vault neither stores nor lists (auth/token/create, Vault API).
func (h *holder) newBatch(ctx context.Context, p *purse) (credential.Token, error) {
	if err := h.prepare(ctx, p); err != nil {
		return credential.Token{}, err
	}
	return h.create(ctx, p, h.of.Role, "batch", h.of.TTL)
}

// prepare makes the policies right before a token is created that carries them.
func (h *holder) prepare(ctx context.Context, p *purse) error {
	if h.closed() {
		return credential.ErrClosed
	}
	if _, err := h.keepPolicies(ctx, p); err != nil {
		return err
	}
	if len(p.names) == 0 {
		return call.Errorf(call.Forbidden, "denied by policy")
	}
	return nil
}

// newLease creates the token that a caller's leases hang on, and notes it, so that
// it can be renewed and revoked after a restart. One that cannot be noted is not
// used.
func (h *holder) newLease(ctx context.Context, p *purse) (credential.Token, error) {
	if err := h.prepare(ctx, p); err != nil {
		return credential.Token{}, err
	}
	t, err := h.create(ctx, p, h.of.LeaseRole, "service", h.of.LeaseTTL)
	if err != nil {
		return t, err
	}
	now := time.Now().Unix()
	n := note{Accessor: t.Accessor, Renewable: t.Renewable, Issued: now, Renewed: now, Expires: now + int64(t.Life/time.Second)}
	if err := h.of.client.tokens(h.key).write(ctx, n); err != nil {
		return credential.Token{}, errors.Join(err, h.of.client.endToken(context.WithoutCancel(ctx), h.key, t.Accessor))
	}
	return t, nil
}

// create creates a token with the caller's policies alone. Display name and metadata
// tell Vault's audit log who it is for.
func (h *holder) create(ctx context.Context, p *purse, role, kind string, ttl time.Duration) (credential.Token, error) {
	c := p.caller
	raw, err := json.Marshal(map[string]any{
		"policies": p.names, "type": kind, "ttl": ttl.String(), "renewable": kind == "service",
		"no_default_policy": true, "display_name": "portcullis-" + c.Subject,
		"meta": map[string]string{"caller": h.key, "subject": c.Subject, "tenant": c.Tenant, "kind": c.Kind},
	})
	if err != nil {
		return credential.Token{}, err
	}
	a := wantToken()
	// Nobody gets to know a token whose reply is lost, so asking again is safe.
	err = h.of.client.asGateway(ctx, request{method: post, path: "auth/token/create/" + role, body: raw, caller: h.key, safe: kind == "batch"}, a)
	return a.token(), childFailed(err)
}

// childFailed hides what only the operator can mend: a role or a capability that
// the gateway lacks.
func childFailed(err error) error {
	switch e := call.AsError(err); {
	case e == nil:
		return nil
	case e.Code == call.OutcomeUnknown: // the token; the operation has not been sent
		return call.Wrap(call.VaultTimeout, "Vault did not answer completely", err)
	case e.Code == call.Forbidden, e.Code == call.InvalidRequest, e.Code == call.NotFound:
		return call.Wrap(call.VaultAuth, "the gateway cannot get a Vault token for the caller", err)
	default:
		return err
	}
}

// endToken revokes the token of a caller's leases, and the leases with it
// (auth/token/revoke-accessor, Vault API). One that has gone already is no error.
func (c *Client) endToken(ctx context.Context, key, accessor string) error {
	raw, err := json.Marshal(map[string]string{"accessor": accessor})
	if err != nil {
		return err
	}
	err = c.asGateway(ctx, request{method: post, path: "auth/token/revoke-accessor", body: raw, caller: key}, nil)
	if call.Is(err, call.NotFound) {
		return nil
	}
	return err
}

// keepToken prolongs the token of a caller's leases (auth/token/renew-accessor,
// Vault API) and returns how long it lives now.
func (c *Client) keepToken(ctx context.Context, key, accessor string) (time.Duration, error) {
	raw, err := json.Marshal(map[string]string{"accessor": accessor})
	if err != nil {
		return 0, err
	}
	a := wantAuth()
	err = c.asGateway(ctx, request{method: post, path: "auth/token/renew-accessor", body: raw, caller: key, safe: true}, a)
	return a.token().Life, err
}
