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

// holds reports whether a resource lies in the book.
func (b Book) holds(r call.Resource) bool {
	return b.Mount != "" && r.Mount == b.Mount && r.Path.Within(b.Path)
}

// Own reports whether a resource is what the gateway notes for itself: it is nobody's
// secret, and nobody is told of it.
func (c *Client) Own(r call.Resource) bool { return c.book.holds(r) }

// page is what the book has about one caller. Leases and the tokens that they
// were issued with are on pages of their own.
type page struct {
	client *Client
	key    string // the caller's
	at     string // below the book's path
}

// leases is the page of a caller's leases. The two forms cannot meet, so no
// tenant's name makes two callers share a page.
func (c *Client) leases(key string) page { return page{c, key, owner(key)} }

// tokens is the page of the tokens that a caller's leases hang on.
func (c *Client) tokens(key string) page { return page{c, key, "tokens/" + owner(key)} }

// shelf is a level of the book above its pages.
func (c *Client) shelf(at string) page { return page{c, "", at} }

func owner(key string) string {
	if tenant, subject, _ := strings.Cut(key, "/"); tenant != "" {
		return "tenants/" + tenant + "/" + subject
	}
	return "subjects" + key
}

// note is what is written about one lease, or about the token of leases, which
// has no role.
type note struct {
	Lease     string `json:"lease_id,omitempty"`
	Accessor  string `json:"accessor,omitempty"`
	Role      string `json:"role,omitempty"`
	Renewable bool   `json:"renewable,omitempty"`
	Issued    int64  `json:"issued"`         // Unix seconds
	Renewed   int64  `json:"renewed"`        // Unix seconds, when the present life began
	Expires   int64  `json:"expires"`        // Unix seconds
	Seen      int64  `json:"seen,omitempty"` // Unix seconds, when the caller was last known to be here
	Ends      int64  `json:"ends,omitempty"` // Unix seconds: it is not renewed beyond that, 0 for no end
	// By is the credential that the lease was issued to, without its scopes: whether
	// the lease may be held is asked for that one, not for whichever called last.
	By *call.Caller `json:"by,omitempty"`

	version int // of the note itself, 0 for a new one
}

// name is the note's place on its page.
func (n note) name() string { return noteName(n.Lease + n.Accessor) }

func noteName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

func (n note) over() bool { return n.Expires <= time.Now().Unix() }

// turn sends one request about the page; verb is data or metadata.
func (p page) turn(ctx context.Context, r request, verb string, out Reply) error {
	book := p.client.book
	if book.Mount == "" {
		return call.Errorf(call.Internal, "internal error")
	}
	r.path = strings.TrimSuffix(book.Mount+"/"+verb+"/"+book.Path.String()+"/"+p.at+"/"+r.path, "/")
	r.caller = p.key
	if out == nil {
		return p.client.asGateway(ctx, r, nil)
	}
	return p.client.asGateway(ctx, r, wantData(out))
}

// write writes a note that nobody else has written meanwhile.
func (p page) write(ctx context.Context, n note) error {
	raw, err := json.Marshal(map[string]any{"data": n, "options": map[string]int{"cas": n.version}})
	if err != nil {
		return err
	}
	return p.turn(ctx, request{method: put, path: n.name(), body: raw}, "data", &written{})
}

// read finds a note. What is on another caller's page and what never was are the
// same NotFound.
func (p page) read(ctx context.Context, name string) (note, error) {
	var reply noteReply
	err := p.turn(ctx, request{method: get, path: name}, "data", &reply)
	reply.Data.version = reply.Metadata.Version
	return reply.Data, err
}

// written is what KV version 2 answers to a write.
type written struct {
	Version int `json:"version"`
}

// Complete implements Reply.
func (w *written) Complete() bool { return w.Version > 0 }

// noteReply is what KV version 2 answers to a read of a note.
type noteReply struct {
	Data     note    `json:"data"`
	Metadata written `json:"metadata"`
}

// Complete implements Reply.
func (r *noteReply) Complete() bool {
	return r.Metadata.Complete() && r.Data.Expires > 0 && r.Data.Lease+r.Data.Accessor != ""
}

func (p page) drop(ctx context.Context, n note) error {
	return p.turn(ctx, request{method: del, path: n.name()}, "metadata", nil)
}

// names lists what is on the page, without reading it.
func (p page) names(ctx context.Context) ([]string, error) {
	var list keyList
	err := p.turn(ctx, request{method: get, query: url.Values{"list": {"true"}}}, "metadata", &list)
	if call.Is(err, call.NotFound) {
		return nil, nil
	}
	return list.Keys, err
}

// notes reads the page and drops what has expired.
func (p page) notes(ctx context.Context) ([]note, error) {
	names, err := p.names(ctx)
	if err != nil {
		return nil, err
	}
	var out []note
	for _, name := range names {
		n, err := p.read(ctx, name)
		if call.Is(err, call.NotFound) {
			continue // dropped meanwhile
		}
		if err != nil {
			return nil, err
		}
		if n.over() {
			_ = p.drop(ctx, n) // the next listing tries again
			continue
		}
		out = append(out, n)
	}
	return out, nil
}
