package vault

import (
	"context"
	"strconv"
	"time"

	"portcullis/gateway/budget/gate"
	"portcullis/gateway/vault/wire"
)

// Wrapped is all that is delivered of an answer that Vault has wrapped. Whoever
// opens it should look first where it was made (sys/wrapping/lookup, Vault API):
// an answer of Vault's own at the path that was asked for, the gateway's at
// sys/wrapping/wrap.
type Wrapped struct {
	WrapInfo wire.WrapInfo `json:"wrap_info"`
}

// Error makes a wrapped answer what an operation ends with: there is nothing in it
// that the operation could go on with.
func (*Wrapped) Error() string { return "the answer is wrapped" }

// defaultWrapTTL is how long an answer waits to be opened when nobody says.
const defaultWrapTTL = 5 * time.Minute

// wrapTTL is the grant's, as the header X-Vault-Wrap-TTL wants it.
func (s *Session) wrapTTL() string {
	ttl := s.grant.Terms().WrapTTL
	if ttl < time.Second {
		ttl = defaultWrapTTL
	}
	return strconv.Itoa(int(ttl / time.Second))
}

// WrapAnswer makes Vault wrap what it answers to the session's next request, so
// that the gateway never sees it; the operation ends with *Wrapped. It is for
// operations that only read: others need to see what they did.
func (s *Session) WrapAnswer() { s.wraps = true }

// Wrap lets Vault keep body, a JSON object, until it is opened (sys/wrapping/wrap,
// Vault API).
func (s *Session) Wrap(ctx context.Context, body []byte) (*Wrapped, error) {
	defer gate.Away(ctx)()
	s.turn.leave() // others of the caller's may wait for it, in places that this request needs
	r := wire.Request{Method: wire.Post, Path: "sys/wrapping/wrap", Body: body, WrapTTL: s.wrapTTL(), Caller: s.Caller().Key()}
	s.stamp(&r)
	a := wire.WantWrapped()
	if err := s.client.asGateway(ctx, r, a); err != nil {
		return nil, err
	}
	return s.client.wrapped(s.Caller(), a.WrapInfo), nil
}
