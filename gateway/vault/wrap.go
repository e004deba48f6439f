package vault

import (
	"context"
	"strconv"
	"time"

	"portcullis/gateway/call"
)

// Wrapped is all that is delivered of an answer that Vault has wrapped. Whoever
// opens it should look first where it was made (sys/wrapping/lookup, Vault API):
// an answer of Vault's own at the path that was asked for, the gateway's at
// sys/wrapping/wrap.
type Wrapped struct {
	WrapInfo WrapInfo `json:"wrap_info"`
}

// WrapInfo is Vault's, without what only the gateway could use.
type WrapInfo struct {
	Token        call.Secret `json:"token"` // opens the answer once, at sys/wrapping/unwrap
	TTL          int         `json:"ttl"`   // seconds
	CreationPath string      `json:"creation_path"`
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
	r := request{method: post, path: "sys/wrapping/wrap", body: body, wrapTTL: s.wrapTTL(), caller: s.Caller().Key(), id: s.grant.Terms().DecisionID}
	return s.client.wrapped(ctx, r, s.client.asGateway)
}

// wrapped sends a request whose answer is to be wrapped. One that is not, is not
// delivered.
func (c *Client) wrapped(ctx context.Context, r request, send func(context.Context, request, *answer) error) (*Wrapped, error) {
	a := &answer{missing: func(a *answer) string {
		if a.WrapInfo == nil || a.WrapInfo.Token == "" {
			return "a wrapping token"
		}
		return ""
	}}
	if err := send(ctx, r, a); err != nil {
		return nil, err
	}
	return &Wrapped{*a.WrapInfo}, nil
}
