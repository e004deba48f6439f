package edge

import (
	"net/http"

	"portcullis/gateway/call"
)

// miss answers a request that leads to no route. It says the same to everybody; of a
// caller it is on record like a call that cannot be read, and takes a token.
func (e *Edge) miss(w http.ResponseWriter, r *http.Request, err *call.Error) {
	if e.Missed != nil {
		c, refused := e.Authenticate(r)
		switch {
		case refused == nil:
			err = e.recorded(r, c, err)
		case e.Refused != nil && !e.Anonymous(refused):
			e.Refused(r, call.AsError(refused), w.Header().Get("X-Request-Id"))
		}
	}
	WriteError(w, err, "")
}

// recorded puts a request of a caller on record that is refused with err, and returns
// what it is answered with.
func (e *Edge) recorded(r *http.Request, c *call.Caller, err *call.Error) *call.Error {
	if e.Missed == nil {
		return err
	}
	return e.Missed(r, c, err)
}
