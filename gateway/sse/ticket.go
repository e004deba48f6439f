package sse

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// TicketLife is how long a ticket can be used.
const TicketLife = 60 * time.Second

// maxTickets bounds the unused tickets of one caller and of all.
const (
	maxTickets    = 10_000
	maxTicketsOne = 100
	ticketBytes   = 512 // that one takes beside its filter
)

// tickets are the unused ones. A ticket stands for the caller who got it, with
// the filter that was asked for and nothing more.
type tickets struct {
	mu   sync.Mutex // guards what follows
	open map[string]ticket
	held map[string]int // by caller

	swept time.Time
}

type ticket struct {
	caller  *call.Caller
	query   string // the filter
	expires time.Time
	release func() // gives back what it takes of what is kept for its caller
}

// Ticket answers POST /events/ticket. EventSource cannot send headers, so a page
// asks for a ticket with its credential and opens /events?ticket=… with it: once,
// within a minute. The query of this request is the filter of the stream.
func (s *Server) Ticket(w http.ResponseWriter, r *http.Request, c *call.Caller) {
	_, q, err := s.asked(r, c, opTicket)
	if err != nil {
		s.Error(w, call.AsError(err))
		return
	}
	var id string
	err = s.keep(r, c, opTicket, func(context.Context) (err error) {
		id, err = s.issue(c, q.Encode())
		return err
	})
	if err != nil {
		s.Error(w, call.AsError(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"ticket":%q,"expires_in_s":%d}`, id, int(TicketLife.Seconds())) // the client has gone when this fails
}

// issue makes a ticket for a filter.
func (s *Server) issue(c *call.Caller, query string) (id string, err error) {
	tk := ticket{caller: c, query: query, expires: time.Now().Add(TicketLife), release: func() {}}
	if s.Keep != nil {
		if tk.release, err = s.Keep(c, ticketBytes+len(tk.query)); err != nil {
			return "", err
		}
	}
	id, ok := s.tickets.issue(tk, time.Now())
	if !ok {
		tk.release()
		return "", &call.Error{Code: call.RateLimited, Msg: "too many unused tickets", RetryAfter: TicketLife}
	}
	return id, nil
}

func (t *tickets) issue(tk ticket, now time.Time) (string, bool) {
	c := tk.caller
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open, t.held = map[string]ticket{}, map[string]int{}
	}
	if now.Sub(t.swept) >= time.Second {
		t.sweep(now)
	}
	if t.held[c.Key()] >= maxTicketsOne || len(t.open) >= maxTickets {
		return "", false
	}
	id := rand.Text()
	t.open[id] = tk
	t.held[c.Key()]++
	return id, true
}

// sweep drops what is too old. The lock is held.
func (t *tickets) sweep(now time.Time) {
	t.swept = now
	for id, tk := range t.open {
		if now.After(tk.expires) {
			t.drop(id, tk)
		}
	}
}

func (t *tickets) drop(id string, tk ticket) {
	delete(t.open, id)
	tk.release()
	if t.held[tk.caller.Key()]--; t.held[tk.caller.Key()] == 0 {
		delete(t.held, tk.caller.Key())
	}
}

// redeem uses a ticket up.
func (t *tickets) redeem(id string, now time.Time) (ticket, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tk, ok := t.open[id]
	if !ok {
		return ticket{}, false
	}
	t.drop(id, tk)
	return tk, !now.After(tk.expires)
}

// Authenticate wraps an authenticator: GET /events with a ticket is the caller
// who got it. The query becomes the ticket's filter, so the ticket is in no log
// and the stream can be no wider than was asked for. A ticket beside a credential
// is refused.
func (s *Server) Authenticate(next func(*http.Request) (*call.Caller, error)) func(*http.Request) (*call.Caller, error) {
	return func(r *http.Request) (*call.Caller, error) {
		if r.URL.Path != "/events" || r.Method != http.MethodGet || !hasTicket(r.URL) {
			return next(r)
		}
		if r.Header.Get("Authorization") != "" || r.Header.Get("X-Api-Key") != "" || r.Header.Get("X-On-Behalf-Of") != "" {
			return nil, call.Errorf(call.AmbiguousCredentials, "a ticket and another credential")
		}
		q := r.URL.Query()
		tk, ok := s.tickets.redeem(q.Get("ticket"), time.Now())
		r.URL.RawQuery = tk.query
		if !ok {
			return nil, call.Errorf(call.Unauthenticated, "the ticket is unknown, used or too old")
		}
		if id := q.Get("last_event_id"); id != "" {
			r.Header.Set("Last-Event-Id", id)
		}
		if s.Resume == nil {
			return tk.caller, nil
		}
		return s.Resume(r, tk.caller)
	}
}

func hasTicket(u *url.URL) bool { return u.Query().Has("ticket") }
