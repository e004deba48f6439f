package vault

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"portcullis/gateway/budget/gate"
	"portcullis/gateway/call"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vault/leases"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// Session is the way of one granted call to Vault. Paths are relative to the
// granted mount, so an operation cannot reach another one.
type Session struct {
	client *Client
	grant  call.Grant
	use    Use
	caller *callers.State     // nil for an operation without a mount
	tokens *tokencache.Source // of the token that requests carry
	wraps  bool               // what Vault answers is wrapped
	cached CacheUse
	place  *leases.Reservation // of the lease that is being issued, until it is registered
	warned []string            // see Warnings
	turn   *turn
	counts wire.Counts // of the requests to Vault
}

// Use is what an operation declares about its requests (op.Spec).
type Use struct {
	Engine      string // that the operation is on, by which the caller's token is chosen
	IssuesLease bool   // a lease that it issues dies with the token of the request, so it takes the token that lives longer
	Cacheable   bool   // a read may be answered from the read cache
}

// Reply is what an operation reads of the data of one answer of Vault's.
type Reply = wire.Reply

// Open opens a session for a grant. A void grant is refused, and so is one that
// would read or write what is the gateway's own as if it were a secret.
func (c *Client) Open(_ context.Context, g call.Grant) (*Session, error) {
	if !g.Valid() || c.Reserved(g.Terms().Resource) {
		return nil, call.Errorf(call.Forbidden, "denied by policy")
	}
	if err := c.usable(g.Terms().Resource.Mount); err != nil {
		return nil, err
	}
	s := &Session{client: c, grant: g, tokens: c.root, turn: &turn{gate: c.large, caller: g.Caller().Key()}}
	if c.useOf != nil {
		s.use = c.useOf(g.Terms().Op)
	}
	if g.Terms().Resource.Mount != "" {
		s.caller = c.callers.Of(g.Caller())
		if c.callers.Enabled {
			if len(c.callers.Engines) > 0 && s.use.Engine == "" { // a token for no engine is one for all
				return nil, call.Errorf(call.Internal, "internal error")
			}
			s.tokens = s.caller.TokenSource(g.Caller(), s.use.Engine, s.use.IssuesLease)
		} else if s.use.IssuesLease {
			c.issued.Store(true)
		}
	}
	return s, nil
}

// Within lets large answers of Vault's to what changes nothing take of a share of
// bytes, before they are read. The error of take refuses the answer.
func (s *Session) Within(take func(bytes int64) error) { s.turn.take = take }

// Close gives back what the session holds. What was taken of the share of bytes is not
// its own: the answer is still to be sent.
func (s *Session) Close() { s.turn.leave() }

// Grant is what the session was opened with.
func (s *Session) Grant() call.Grant { return s.grant }

// Caller is who the session acts for.
func (s *Session) Caller() *call.Caller { return s.grant.Caller() }

// Get reads path below the mount and decodes the reply's data into out.
func (s *Session) Get(ctx context.Context, path string, query url.Values, out Reply) error {
	return s.asCaller(ctx, wire.Request{Method: wire.Get, Path: path, Query: query}, out)
}

// List lists path below the mount (GET ?list=true, Vault API) and decodes the
// reply's data into out.
func (s *Session) List(ctx context.Context, path string, out Reply) error {
	return s.asCaller(ctx, wire.Request{Method: wire.Get, Path: path, Query: url.Values{"list": {"true"}}}, out)
}

// Put writes body, a JSON-encodable value, to path below the mount and decodes
// the reply's data into out.
func (s *Session) Put(ctx context.Context, path string, body any, out Reply) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return s.asCaller(ctx, wire.Request{Method: wire.Put, Path: path, Body: raw}, out)
}

// Query is Put for what changes nothing in Vault although it is not a GET, such
// as decrypting. It may be sent twice.
func (s *Session) Query(ctx context.Context, path string, body any, out Reply) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return s.asCaller(ctx, wire.Request{Method: wire.Put, Path: path, Body: raw, Safe: true}, out)
}

// Mint is Get for what makes a credential with a lease although it is a GET. It is
// never sent twice, and refused when the caller holds as many leases as it may. Adopt
// must follow.
func (s *Session) Mint(ctx context.Context, path string, out Reply) error {
	place, err := s.client.registry.Reserve(ctx, s.Caller().Key())
	if err != nil {
		return err
	}
	err = s.asCaller(ctx, wire.Request{Method: wire.Get, Path: path, Mints: true, Leases: true}, out)
	s.place = place
	if err != nil && !call.Is(err, call.OutcomeUnknown) { // else there may be a lease: the reservation holds until its time is up
		place.Release()
	}
	return err
}

// MintOnce is Put for what makes a credential that works once and whose lease is not
// registered. It is refused when the caller has made as many of late as it may.
func (s *Session) MintOnce(ctx context.Context, path string, body any, out Reply) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	place, err := s.client.registry.ReserveOnce(s.Caller().Key())
	if err != nil {
		return err
	}
	err = s.asCaller(ctx, wire.Request{Method: wire.Put, Path: path, Body: raw, Leases: true}, out)
	if err != nil && !call.Is(err, call.OutcomeUnknown) {
		place.Release()
		return err
	}
	var life time.Duration // not known when the answer is not
	if l, ok := out.(interface{ Life() time.Duration }); ok && err == nil {
		life = l.Life()
	}
	place.Hold(life)
	return err
}

// Text reads path below the mount where Vault answers plain text. Vault does not wrap it:
// what is wrapped is the operation's result, not a text without a name.
func (s *Session) Text(ctx context.Context, path string) (string, error) {
	var text wire.PlainText
	s.wraps = false
	err := s.asCaller(ctx, wire.Request{Method: wire.Get, Path: path}, &text)
	return string(text), err
}

// Patch merges body, a JSON-encodable value, into what is at path (RFC 7396).
func (s *Session) Patch(ctx context.Context, path string, body any, out Reply) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return s.PatchRaw(ctx, path, raw, out)
}

// PatchRaw merges body, JSON text, into what is at path (RFC 7396).
func (s *Session) PatchRaw(ctx context.Context, path string, body []byte, out Reply) error {
	return s.asCaller(ctx, wire.Request{Method: wire.Patch, Path: path, Body: body}, out)
}

// Delete deletes path below the mount.
func (s *Session) Delete(ctx context.Context, path string) error {
	return s.asCaller(ctx, wire.Request{Method: wire.Delete, Path: path}, nil)
}

// below is a request below the granted mount.
func (s *Session) below(r wire.Request) (wire.Request, error) {
	mount := s.grant.Terms().Resource.Mount
	p, err := call.CleanPath(strings.TrimSuffix(mount+"/"+r.Path, "/"))
	if err != nil || mount == "" {
		return r, call.Wrap(call.Internal, "internal error", err)
	}
	r.Path = p.String()
	r.Caller = s.Caller().Key()
	s.stamp(&r)
	if r.ReadOnly() {
		r.Room = s.turn.more // what was changed cannot be refused any more
	}
	return r, nil
}

// asCaller sends a request below the granted mount with the caller's token, or answers it
// from the read cache. When Vault's policies deny what the gateway has allowed, they are
// corrected and the request is sent once more: Vault has done nothing for the first.
func (s *Session) asCaller(ctx context.Context, r wire.Request, out Reply) error {
	r, err := s.below(r)
	if err != nil {
		return err
	}
	defer s.invalidate(r)()
	defer gate.Away(ctx)()
	kept, hit, err := s.fromCache(ctx, r, out)
	if hit || err != nil {
		return err
	}
	a := kept.answer(out)
	if s.wraps {
		r.WrapTTL, a = s.wrapTTL(), wire.WantWrapped()
	}
	sent := time.Now()
	err = s.client.withToken(ctx, s.tokens, r, a)
	if call.Is(err, call.Forbidden) && s.repair(ctx, sent) {
		err = s.client.withToken(ctx, s.tokens, r, a)
	}
	s.addVaultWarnings(a.Warnings, r.Body, a.RawData())
	switch {
	case err == nil && s.wraps:
		return s.client.wrapped(s.Caller(), a.WrapInfo)
	case err == nil:
		kept.store()
	}
	return s.keepLease(ctx, r, a.Lease, out, err)
}

// repair corrects the policies of the caller in Vault, and reports whether the request
// that Vault has denied should be sent again.
func (s *Session) repair(ctx context.Context, sent time.Time) bool {
	if !s.client.callers.Enabled || s.caller == nil || !s.caller.RepairPolicies(ctx, s.Caller(), s.use.Engine, sent) {
		return false
	}
	s.tokens = s.caller.TokenSource(s.Caller(), s.use.Engine, s.use.IssuesLease)
	return true
}

// leased is implemented by outputs that want to know their lease.
type leased interface {
	SetLease(Lease)
}

// isOf reports whether a lease is one that a request at a path has issued (Vault docs,
// concepts/lease).
func isOf(lease, path string) bool {
	_, err := call.ParsePath(lease)
	return err == nil && strings.HasPrefix(lease, path+"/")
}

// keepLease tells the output its lease. A request that issues a lease must have one in its
// answer; when err says that the answer lacks something else, the lease is revoked,
// because nobody else knows of it.
func (s *Session) keepLease(ctx context.Context, r wire.Request, l Lease, out Reply, err error) error {
	own := isOf(l.ID, r.Path)
	if err == nil && r.Leases && (!l.Whole() || !own) {
		err = wire.Incomplete(r, errors.New("it lacks a lease of what was asked for that ends"))
	}
	to, ok := out.(leased)
	if !ok {
		return err
	}
	to.SetLease(l)
	if err != nil && r.Leases && own { // another is somebody else's
		err = errors.Join(err, s.Discard(context.WithoutCancel(ctx), l.ID))
	}
	return err
}
