package sse

import (
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

// record puts on record what the gateway keeps for a caller from now on, or why not.
func (s *Server) record(r *http.Request, c *call.Caller, name string, bad error) error {
	q := request(r, c, name)
	q.Bad = bad
	return s.admit(r, q)
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
