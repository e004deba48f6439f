package auth

import (
	"crypto/subtle"
	"net/http"
	"time"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// Resume is Authenticate for a request with a session, which stands for the credential
// of an earlier request: c is whose that was, nil for a session that is not known. The
// session is good as long as its credential is, and where a client certificate vouched
// for that, or came with it, the session needs the same one. Errors are those of
// Authenticate.
func (ch *Authenticator) Resume(r *http.Request, c *call.Caller) (*call.Caller, error) {
	now, src := ch.now(), ch.SourceIP(r)
	ch.strip(r)
	wait := ch.failures.Blocked(src, now)
	if err := ch.resumable(r, c, now); err != nil {
		return nil, ch.refuse(src, wait, err)
	}
	own := *c
	own.SourceIP = src
	return ch.behalf(r, &own)
}

func (ch *Authenticator) resumable(r *http.Request, c *call.Caller, now time.Time) error {
	if c == nil {
		return rule.NoSession
	}
	ch.refreshDenied(now)
	if err := ch.ended(c, now); err != nil {
		return err
	}
	holder, err := ch.certificate(r, now)
	if err != nil {
		return err
	}
	if c.CertFP == "" && c.Method != call.MTLS {
		return nil
	}
	if holder == nil || subtle.ConstantTimeCompare([]byte(holder.CertFP), []byte(c.CertFP)) == 0 {
		return rule.CertBound
	}
	if c.Method == call.MTLS && holder.Key() != c.Key() {
		return rule.CertBound // of a proxy's client only the name is known
	}
	return nil
}
