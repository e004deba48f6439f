package edge

import (
	"net/http"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
)

// seat takes the place of a caller's request, and of the body that it announces,
// before a byte of the body is read.
func (e *Edge) seat(w http.ResponseWriter, r *http.Request, c *call.Caller) error {
	if err := e.short(); err != nil {
		return err
	}
	who := budget.Of(c)
	release, err := e.Budgets.Reserve(who, budget.Requests, 1)
	if err != nil {
		return err
	}
	hold(w, release)
	reserve := func(n int64) error {
		release, err := e.Budgets.Reserve(who, budget.Bytes, n)
		if err == nil {
			hold(w, release)
		}
		return err
	}
	if ew, ok := w.(*writer); ok {
		ew.reserve, ew.who, ew.turn.Key = reserve, who, who.Caller
	}
	if e.Known != nil {
		e.Known(r)
	}
	b := e.newBody(w, r)
	r.Body = b
	if r.ContentLength >= 0 {
		return reserve(min(r.ContentLength, e.MaxBody))
	}
	b.reserve = reserve // as it comes
	return nil
}

// anonymous serves requests of unknown callers, within what such requests may hold.
func (e *Edge) anonymous(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if e.reserveAnonymous(w, r) {
			h(w, r)
		}
	}
}

// reserveAnonymous takes a place for a request whose caller is not known, until the answer
// has left. Without one it answers, and reports false.
func (e *Edge) reserveAnonymous(w http.ResponseWriter, r *http.Request) bool {
	err := e.short()
	if err == nil {
		var release func()
		if release, err = e.Budgets.Reserve(e.from(r), budget.Anonymous, 1); err == nil {
			hold(w, release)
			return true
		}
	}
	e.turnAway(w, r, err)
	return false
}

// from is the source of a request until its caller is authenticated.
func (e *Edge) from(r *http.Request) budget.Who {
	if e.Source == nil {
		return budget.Who{}
	}
	return budget.From(e.Source(r))
}

func (e *Edge) short() error {
	if e.Short == nil {
		return nil
	}
	return e.Short()
}

// turnAway refuses a request for which there is no room. Over HTTP/2 the answer has no
// body: a client that opens no window for it could hold what has just been refused.
func (e *Edge) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	if ew, ok := w.(*writer); ok {
		ew.away = true
	}
	awaitBody(w, r, drainTimeout)
	if r.ProtoMajor < 2 {
		WriteError(w, err, "")
		return
	}
	c := call.AsError(err)
	SetRetryAfter(w.Header(), c)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(Status(c.Code))
}
