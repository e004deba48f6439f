package vault

import (
	"context"
	"crypto/rand"
	"net/http"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/wire"
)

// Traffic counts requests to Vault.
type Traffic = wire.Traffic

// Upkeep is a request that the gateway sends to Vault for itself: a login, a token or a
// policy of a caller's, an entry about a lease, a look-up. Config.Upkeep is called with each
// twice: before it is sent, and when it has ended.
type Upkeep struct {
	ID     string // of this request alone: its X-Correlation-Id, which Vault writes into its audit log
	Method string // of HTTP
	Path   string // below /v1/
	Caller string // key of the caller that it is for, empty for the gateway itself
	Code   string // what came of it, "ok" for success; empty before it is sent
	Sent   Traffic

	Evidence bool // it signs or keeps a checkpoint of the evidence
}

// track gives a request an id and says so. One of a call has the decision's; one of the
// gateway's own has one for itself, and the function that is returned says how it ended.
func (c *Client) track(ctx context.Context, r *wire.Request) (ended func(error)) {
	if r.ID == "" {
		if of, ok := ctx.Value(callKey{}).(*Session); ok && of != nil {
			of.stamp(r)
		}
	}
	evidence := ofEvidence(r.ID)
	if r.ID != "" && !evidence {
		return func(error) {}
	}
	if r.Counts = (&wire.Counts{}); r.ID == "" {
		r.ID = upkeepID()
	}
	u := Upkeep{ID: r.ID, Method: methodName(r.Method), Path: r.Path, Caller: r.Caller, Evidence: evidence}
	c.upkeep(u)
	counts := r.Counts
	return func(err error) {
		u.Code, u.Sent = codeOf(err), counts.Now()
		c.upkeep(u)
	}
}

func codeOf(err error) string {
	if e := call.AsError(err); e != nil {
		return string(e.Code)
	}
	return "ok"
}

// callKey marks the context of requests that belong to the call of a session, although
// they are sent with the gateway's own token.
type callKey struct{}

// partOf marks a context as that of the session's call.
func (s *Session) partOf(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, s)
}

// ofNoCall is a context for what is done for everybody, though one call waits for it.
func ofNoCall(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, (*Session)(nil))
}

// stamp makes a request one of the session's call.
func (s *Session) stamp(r *wire.Request) { r.ID, r.Counts = s.grant.Terms().DecisionID, &s.counts }

// Traffic counts what was sent to Vault for the session's call.
func (s *Session) Traffic() Traffic { return s.counts.Now() }

// upkeepID is an id that no decision has.
func upkeepID() string { return "upkeep-" + rand.Text() }

func methodName(m wire.Method) string {
	return [...]string{http.MethodGet, http.MethodPut, http.MethodPut, http.MethodPatch, http.MethodDelete}[m]
}
