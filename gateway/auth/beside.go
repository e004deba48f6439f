package auth

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// BehalfHeader carries a second credential, a token of the person or service on whose
// behalf the caller says that it calls.
const BehalfHeader = "X-On-Behalf-Of"

// behalf is Behalf for what the headers of a request have, if anything.
func (ch *Authenticator) behalf(r *http.Request, c *call.Caller) (*call.Caller, error) {
	switch values := r.Header[BehalfHeader]; len(values) {
	case 0:
		return c, nil
	case 1:
		delete(r.Header, BehalfHeader) // nobody behind here has any use for it
		return ch.Behalf(r.Context(), c, values[0])
	default:
		return nil, ch.refuseBehalf(c, ch.now(), rule.Ambiguous)
	}
}

// Behalf is a caller with the second credential that it presents, "Bearer TOKEN". The
// token is verified as that of a caller: issuer, audience, signature, times, deny list.
// The caller is one no longer when either credential has ended. A token that needs a
// proof or a certificate of its holder is refused, since somebody else presents it; so
// is one that says itself who acts, and the caller's own. Errors are those of
// Authenticate.
func (ch *Authenticator) Behalf(ctx context.Context, c *call.Caller, value string) (*call.Caller, error) {
	now := ch.now()
	if c.Behalf != nil {
		return nil, ch.refuseBehalf(c, now, rule.Ambiguous)
	}
	who, err := ch.represented(ctx, c, value, now)
	if err != nil {
		return nil, ch.refuseBehalf(c, now, err)
	}
	own, other := *c, *who
	other.SourceIP = c.SourceIP
	own.Behalf = &other
	if own.Expires.IsZero() || other.Expires.Before(own.Expires) {
		own.Expires = other.Expires
	}
	return &own, nil
}

func (ch *Authenticator) represented(ctx context.Context, c *call.Caller, value string, now time.Time) (*call.Caller, error) {
	cred, err := authorization(value)
	switch {
	case err != nil:
		return nil, err
	case cred.dpop:
		return nil, fmt.Errorf("%w: a second credential is a bearer token", rule.Scheme)
	case ch.tokens == nil:
		return nil, fmt.Errorf("%w: JWT", rule.MethodOff)
	}
	v, err := ch.verified(ctx, presence{credential: cred, now: now, suspect: ch.failures.Blocked(c.SourceIP, now) > 0})
	switch {
	case err != nil:
		return nil, err
	case v.Caller().JKT != "":
		return nil, rule.KeyBound
	case v.X5T != "":
		return nil, rule.CertBound
	case v.Caller().OnBehalfOf != nil || c.OnBehalfOf != nil || v.Caller().Key() == c.Key():
		return nil, rule.BadActor
	}
	ch.refreshDenied(now)
	if err := ch.denied.Check(v.Caller(), now); err != nil {
		return nil, err
	}
	return v.Caller(), ch.owners.check(v.Caller().Key(), v.Source())
}

// refuseBehalf is refuse, and says which credential is meant.
func (ch *Authenticator) refuseBehalf(c *call.Caller, now time.Time, err error) error {
	e := *call.AsError(ch.refuse(c.SourceIP, ch.failures.Blocked(c.SourceIP, now), err))
	switch {
	case e.Code == call.AmbiguousCredentials:
		e.Msg = BehalfHeader + ": more than one: name one person, once, and none in a session that was begun on behalf of one"
	case e.Code != call.RateLimited:
		e.Msg = BehalfHeader + ": " + strings.TrimSuffix(e.Msg, ": ")
	}
	return &e
}
