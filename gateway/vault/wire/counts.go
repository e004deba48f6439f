package wire

import (
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/hashicorp/vault/api"
)

// Traffic counts requests to Vault, as Vault's audit log counts them.
type Traffic struct {
	Requests   int // that were sent
	Unanswered int // of these, those of which nobody knows whether Vault has seen them
	Errors     int // of these, those that Vault has answered with an error, without 404
}

// Counts counts the requests that belong together. The zero value is ready; a nil one
// counts nothing.
type Counts struct{ sent, answered, errors atomic.Int32 }

// Now is what was counted up to now.
func (c *Counts) Now() Traffic {
	sent, answered := int(c.sent.Load()), int(c.answered.Load())
	return Traffic{Requests: sent, Unanswered: max(0, sent-answered), Errors: int(c.errors.Load())}
}

// Sent counts a request for which a connection was had.
func (c *Counts) Sent() {
	if c != nil {
		c.sent.Add(1)
	}
}

// Answered counts an answer that Vault has on record. Engines answer 404 with errors and
// without, and Vault records both as no error.
func (c *Counts) Answered(resp *api.Response, err error) {
	if c == nil || resp == nil || resp.Response == nil || !onRecord(resp.StatusCode) {
		return
	}
	c.answered.Add(1)
	if e, ok := errors.AsType[*api.ResponseError](err); ok && len(e.Errors) > 0 && resp.StatusCode != http.StatusNotFound {
		c.errors.Add(1)
	}
}

// onRecord tells whether Vault's core has seen a request that has a status: a rate limit,
// a seal and a standby that redirects answer before it.
func onRecord(status int) bool {
	switch status {
	case http.StatusTemporaryRedirect, http.StatusTooManyRequests:
		return false
	}
	return status <= http.StatusInternalServerError
}
