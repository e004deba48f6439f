// Package wire is the form of requests to Vault and of its answers, apart from how
// they are sent.
package wire

import (
	"context"
	"net/url"
)

// Method is what a request does at its path.
type Method int

// The methods. Put and Post are the same to Vault.
const (
	Get Method = iota
	Put
	Post
	Patch
	Delete
)

// Request is one HTTP request to Vault.
type Request struct {
	Method  Method
	Path    string // below /v1/
	Query   url.Values
	Body    []byte // JSON text
	Token   string
	Caller  string // key of the caller that the request is sent for, empty for the gateway itself
	ID      string // decision id, or that of upkeep; Vault writes it into its audit log
	WrapTTL string // in seconds; Vault wraps its answer unless it is empty
	Safe    bool   // changes nothing although the method is not Get
	Mints   bool   // makes something although the method is Get
	Leases  bool   // the answer must have a lease
	Long    bool   // the answer may be as long as any, although the request changes something
	Probe   bool   // asks whether Vault is there: it is sent whatever the load and the breaker say

	// Room is asked before so many more bytes of a large answer are read; its error is
	// that of the request. Nil asks nobody.
	Room func(ctx context.Context, bytes int64) error

	Counts *Counts // of the requests that this one belongs to; nil for none

	Node *url.URL // the active node that a standby has named, nil for the configured address
}

// ReadOnly reports whether the request changes nothing in Vault, so that it may be sent
// twice.
func (r Request) ReadOnly() bool { return !r.Mints && (r.Method == Get || r.Safe) }

// Send sends a request with a token that its owner chooses and decodes the whole answer
// into a; nil needs nothing of it. Errors are *call.Error.
type Send func(ctx context.Context, r Request, a *Answer) error
