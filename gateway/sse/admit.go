package sse

import (
	"context"
	"net/http"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Names of the requests of this package in evidence.
const (
	opEvents = "events.stream"
	opTicket = "events.ticket"
	opRecent = "events.recent"
)

// charge takes a token of the caller's bucket, and more for many items, before anything
// is worked out for it.
func (s *Server) charge(r *http.Request, c *call.Caller, name string, items int) error {
	q := request(r, c, name)
	q.Phase, q.Items = op.PhaseList, items
	return s.admit(r, q)
}

// refuse puts on record why a request is refused, and returns what it is answered with.
func (s *Server) refuse(r *http.Request, c *call.Caller, name string, bad error) error {
	q := request(r, c, name)
	q.Bad = bad
	return s.admit(r, q)
}

// keep begins what the gateway keeps for a caller, on record.
func (s *Server) keep(r *http.Request, c *call.Caller, name string, begin func(context.Context) error) error {
	if s.Change == nil {
		return begin(r.Context())
	}
	return s.Change(r.Context(), request(r, c, name), begin)
}

func (s *Server) admit(r *http.Request, q *op.Request) error {
	if s.Admit == nil {
		return q.Bad
	}
	return s.Admit(r.Context(), q)
}

func request(r *http.Request, c *call.Caller, name string) *op.Request {
	return &op.Request{ID: r.Header.Get("X-Request-Id"), Transport: op.SSE, Op: name, Caller: c}
}
