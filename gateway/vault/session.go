package vault

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/credential"
)

// Session is the way of one granted call to Vault. Paths are relative to the
// granted mount, so an operation cannot reach another one.
type Session struct {
	client *Client
	grant  call.Grant
	holder *holder
	cell   *credential.Cell
	wraps  bool // what Vault answers is wrapped
	use    CacheUse
	place  *reservation // of the lease that is being made, until it is noted
	warned []string     // see Warnings
}

// Open opens a session for a grant. A void grant is refused, and so is one that
// would read or write the lease book as if it were a secret.
func (c *Client) Open(ctx context.Context, g call.Grant) (*Session, error) {
	if !g.Valid() || c.book.holds(g.Terms().Resource) {
		return nil, call.Errorf(call.Forbidden, "denied by policy")
	}
	if err := c.usable(g.Terms().Resource.Mount); err != nil {
		return nil, err
	}
	s := &Session{client: c, grant: g, cell: c.root}
	if g.Terms().Resource.Mount != "" {
		s.holder = c.holders.of(g.Caller())
		s.cell = s.holder.cell(g.Caller(), g.Terms().Op)
	}
	return s, nil
}

// Grant is what the session was opened with.
func (s *Session) Grant() call.Grant { return s.grant }

// Caller is who the session acts for.
func (s *Session) Caller() *call.Caller { return s.grant.Caller() }

// Get reads path below the mount and decodes the reply's data into out.
func (s *Session) Get(ctx context.Context, path string, query url.Values, out Reply) error {
	return s.do(ctx, request{method: get, path: path, query: query}, out)
}

// List lists path below the mount (GET ?list=true, Vault API) and decodes the
// reply's data into out.
func (s *Session) List(ctx context.Context, path string, out Reply) error {
	return s.do(ctx, request{method: get, path: path, query: url.Values{"list": {"true"}}}, out)
}

// Put writes body, a JSON-encodable value, to path below the mount and decodes
// the reply's data into out.
func (s *Session) Put(ctx context.Context, path string, body any, out Reply) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return s.do(ctx, request{method: put, path: path, body: raw}, out)
}

// Query is Put for what changes nothing in Vault although it is not a GET, such
// as decrypting. It may be sent twice.
func (s *Session) Query(ctx context.Context, path string, body any, out Reply) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return s.do(ctx, request{method: put, path: path, body: raw, safe: true}, out)
}

// Mint is Get for what makes a credential with a lease although it is a GET. It is
// never sent twice, and refused when the caller holds as many leases as it may. Adopt
// must follow.
func (s *Session) Mint(ctx context.Context, path string, out Reply) error {
	place, err := s.client.reserve(ctx, s.holder)
	if err != nil {
		return err
	}
	err = s.issue(ctx, request{method: get, path: path, mints: true, leases: true}, out)
	s.place = place
	if err != nil && !call.Is(err, call.OutcomeUnknown) { // else there may be a lease: the place is taken until it is sure
		s.holder.release(place)
	}
	return err
}

// MintOnce is Put for what makes a credential with a lease that ends with its first
// use.
func (s *Session) MintOnce(ctx context.Context, path string, body any, out Reply) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return s.issue(ctx, request{method: put, path: path, body: raw, leases: true}, out)
}

// issue sends a request that makes a lease.
func (s *Session) issue(ctx context.Context, r request, out Reply) error {
	err := s.do(ctx, r, out)
	if l, ok := out.(leased); ok && err != nil && l.LeaseID() != "" {
		// The answer lacks something, but the lease is there and nobody else knows of it.
		err = errors.Join(err, s.Discard(context.WithoutCancel(ctx), l.LeaseID()))
	}
	return err
}

// Text reads path below the mount where Vault answers plain text.
func (s *Session) Text(ctx context.Context, path string) (string, error) {
	r, err := s.below(request{method: get, path: path})
	if err != nil {
		return "", err
	}
	a := wantText()
	err = s.asCaller(ctx, r, a)
	return a.body, err
}

// PutRaw is Put with a body that is JSON text already.
func (s *Session) PutRaw(ctx context.Context, path string, body []byte, out Reply) error {
	return s.do(ctx, request{method: put, path: path, body: body}, out)
}

// Patch merges body, a JSON-encodable value, into what is at path (RFC 7396).
func (s *Session) Patch(ctx context.Context, path string, body any, out Reply) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return s.PatchRaw(ctx, path, raw, out)
}

// PatchRaw merges body into what is at path (RFC 7396).
func (s *Session) PatchRaw(ctx context.Context, path string, body []byte, out Reply) error {
	return s.do(ctx, request{method: patch, path: path, body: body}, out)
}

// Delete deletes path below the mount.
func (s *Session) Delete(ctx context.Context, path string) error {
	return s.do(ctx, request{method: del, path: path}, nil)
}

// leased is implemented by outputs that want to know their lease.
type leased interface {
	SetLease(Lease)
	LeaseID() string
}

// below is a request below the granted mount.
func (s *Session) below(r request) (request, error) {
	mount := s.grant.Terms().Resource.Mount
	p, err := call.CleanPath(mount + "/" + r.path)
	if err != nil || mount == "" {
		return r, call.Wrap(call.Internal, "internal error", err)
	}
	r.path = p.String()
	r.caller, r.id = s.Caller().Key(), s.grant.Terms().DecisionID
	return r, nil
}

// do sends a request below the granted mount.
func (s *Session) do(ctx context.Context, r request, out Reply) error {
	r, err := s.below(r)
	if err != nil {
		return err
	}
	defer s.writing(r)()
	if s.cacheable(r) {
		return s.fromCache(ctx, r, out)
	}
	return s.send(ctx, r, out)
}

// send sends a request of the operation's with the caller's token.
func (s *Session) send(ctx context.Context, r request, out Reply) error {
	if s.wraps {
		r.wrapTTL = s.wrapTTL()
		w, err := s.client.wrapped(ctx, r, s.asCaller)
		if err != nil {
			return err
		}
		return w
	}
	a := &answer{}
	if out != nil {
		a = wantData(out)
	}
	err := s.asCaller(ctx, r, a)
	if err == nil && r.leases && a.ID == "" {
		err = incomplete(r, errors.New("it lacks a lease"))
	}
	if l, ok := out.(leased); ok {
		l.SetLease(a.Lease)
	}
	return err
}

// asCaller sends a request with the caller's token. When Vault's policies do not let
// the caller do what the gateway has allowed, they are put right once.
func (s *Session) asCaller(ctx context.Context, r request, a *answer) error {
	err := s.client.send(ctx, s.cell, r, a)
	if call.Is(err, call.Forbidden) && s.cell != s.client.root {
		if cell := s.holder.mend(ctx, s.Caller(), s.grant.Terms().Op); cell != nil {
			s.cell = cell
			err = s.client.send(ctx, cell, r, a) // Vault has done nothing
		}
	}
	s.heed(a.Warnings, r.body, a.data)
	return err
}
