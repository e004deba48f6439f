package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"portcullis/gateway/call"
)

// Book is where the gateway notes whose lease is whose: a KV version 2 mount and
// a path in it. Vault itself lets any token that may renew leases renew anybody's
// (sys/leases, Vault API).
//
// The notes are kept in Vault, not in a signed handle or a store beside it,
// because then they live exactly as long as the leases that they are about, every
// replica sees them at once, there is no further key to keep, callers hold
// Vault's own lease ids, and they can be listed. The price is one small write per
// lease, next to a database that makes a user. The notes are read and written
// with the gateway's own token; no grant opens a session on them.
type Book struct {
	Mount string
	Path  call.Path
}

// page is where the notes of one caller lie. The two forms cannot meet, so no
// tenant's name makes two callers share a page.
func (b Book) page(c *call.Caller) string {
	if c.Tenant == "" {
		return b.Path.String() + "/subjects/" + c.Subject
	}
	return b.Path.String() + "/tenants/" + c.Tenant + "/" + c.Subject
}

// holds reports whether a resource lies in the book.
func (b Book) holds(r call.Resource) bool {
	return b.Mount != "" && r.Mount == b.Mount && r.Path.Within(b.Path)
}

// note is what is written about one lease.
type note struct {
	Lease   string `json:"lease_id"`
	Role    string `json:"role"`
	Issued  int64  `json:"issued"`  // Unix seconds
	Expires int64  `json:"expires"` // Unix seconds

	version int // of the note itself, 0 for a new one
}

// noteName is the note's place on its caller's page.
func noteName(lease string) string {
	sum := sha256.Sum256([]byte(lease))
	return hex.EncodeToString(sum[:16])
}

// own is a session with the gateway's own token, for its book alone.
func (s *Session) own() (*Session, error) {
	if s.client.book.Mount == "" {
		return nil, call.Errorf(call.Internal, "internal error")
	}
	return &Session{client: s.client, grant: s.grant, cell: s.client.root}, nil
}

// turn sends one request about the caller's own page; verb is data or metadata.
func (s *Session) turn(ctx context.Context, r request, verb string, out any) error {
	own, err := s.own()
	if err != nil {
		return err
	}
	book := s.client.book
	r.path = strings.TrimSuffix(book.Mount+"/"+verb+"/"+book.page(s.Caller())+"/"+r.path, "/")
	return own.send(ctx, r, out)
}

// writeNote writes a note that nobody else has written meanwhile.
func (s *Session) writeNote(ctx context.Context, n note) error {
	raw, err := json.Marshal(map[string]any{"data": n, "options": map[string]int{"cas": n.version}})
	if err != nil {
		return err
	}
	return s.turn(ctx, request{method: put, path: noteName(n.Lease), body: raw}, "data", nil)
}

// readNote finds the caller's note of a lease. Somebody else's lease and one that
// never was are the same NotFound: neither is on the caller's page.
func (s *Session) readNote(ctx context.Context, name string) (note, error) {
	var reply struct {
		Data     note `json:"data"`
		Metadata struct {
			Version int `json:"version"`
		} `json:"metadata"`
	}
	err := s.turn(ctx, request{method: get, path: name}, "data", &reply)
	reply.Data.version = reply.Metadata.Version
	return reply.Data, err
}

func (s *Session) dropNote(ctx context.Context, lease string) error {
	return s.turn(ctx, request{method: del, path: noteName(lease)}, "metadata", nil)
}

// notes reads the caller's page and drops what has expired.
func (s *Session) notes(ctx context.Context) ([]note, error) {
	var list struct {
		Keys []string `json:"keys"`
	}
	err := s.turn(ctx, request{method: get, query: url.Values{"list": {"true"}}}, "metadata", &list)
	if call.Is(err, call.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []note
	for _, name := range list.Keys {
		n, err := s.readNote(ctx, name)
		if call.Is(err, call.NotFound) {
			continue // dropped meanwhile
		}
		if err != nil {
			return nil, err
		}
		if n.Expires <= time.Now().Unix() {
			_ = s.dropNote(ctx, n.Lease) // the next listing tries again
			continue
		}
		out = append(out, n)
	}
	return out, nil
}
