package auth

import (
	"context"
	"time"

	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// lookEvery is how often files are looked at in the background.
const lookEvery = time.Second

// Changed returns a channel that is closed at the next change that may end a
// credential: of the deny list, the keys, the certificates. Take the channel,
// then call Valid, then wait.
func (ch *Authenticator) Changed() <-chan struct{} { return ch.changed.channel() }

// Valid reports why a caller that was authenticated before is one no longer:
// its credential has ended, was revoked or is not known any more. It is nil for a
// caller that may go on. Errors are *call.Error.
func (ch *Authenticator) Valid(c *call.Caller) error {
	now := ch.now()
	ch.refreshDenied(now)
	if err := ch.ended(c, now); err != nil {
		return call.Wrap(call.Unauthenticated, "the credential is not valid any more", err)
	}
	return nil
}

// Revoked reports whether a caller, or on whose behalf it calls, has been shut out: by the
// deny list, or because its API key is there no longer. A credential that has merely come
// to its end shuts nobody out.
func (ch *Authenticator) Revoked(c *call.Caller) bool {
	now := ch.now()
	ch.refreshDenied(now)
	if ch.denied.Check(c, now) != nil {
		return true
	}
	if c.Behalf != nil && ch.Revoked(c.Behalf) {
		return true
	}
	return c.Method == call.APIKey && ch.keys != nil && (c.Expires.IsZero() || now.Before(c.Expires)) && ch.keys.Named(c, now) != nil
}

// Withdrawn is Valid for a call that is under way: that a credential has come to its end
// since does not break off what began before it. Errors are *call.Error.
func (ch *Authenticator) Withdrawn(c *call.Caller) error {
	now := ch.now()
	ch.refreshDenied(now)
	if err := ch.withdrawn(c, now); err != nil {
		return call.Wrap(call.Unauthenticated, "the credential was withdrawn while the call was under way", err)
	}
	return nil
}

func (ch *Authenticator) ended(c *call.Caller, now time.Time) error {
	if over(c, now) {
		return rule.Expired
	}
	if c.Behalf != nil {
		if err := ch.ended(c.Behalf, now); err != nil {
			return err
		}
	}
	return ch.withdrawn(c, now)
}

func over(c *call.Caller, now time.Time) bool { return !c.Expires.IsZero() && !now.Before(c.Expires) }

// withdrawn is why a caller, or on whose behalf it calls, is shut out. Of a credential that
// is over the files may say anything.
func (ch *Authenticator) withdrawn(c *call.Caller, now time.Time) error {
	if err := ch.denied.Check(c, now); err != nil {
		return err
	}
	if c.Behalf != nil {
		if err := ch.withdrawn(c.Behalf, now); err != nil {
			return err
		}
	}
	if over(c, now) {
		return nil
	}
	if err := ch.stillHolds(c, now); err != nil {
		return err
	}
	switch {
	case c.Method == call.APIKey && ch.keys != nil:
		return ch.keys.Valid(c, now)
	case c.Method == call.JWT && ch.tokens != nil:
		return ch.tokens.Valid(c, now)
	}
	return nil
}

// Run does the background work until ctx ends: it looks at files, fetches keys
// and forgets what is over.
func (ch *Authenticator) Run(ctx context.Context) {
	for _, s := range ch.keySets {
		go s.Run(ctx)
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			ch.Reload()
		}
	}
}

// Reload looks at every file now. What has a mistake keeps its last good state.
func (ch *Authenticator) Reload() {
	ch.note("deny list", ch.denied.Reload)
	if ch.keys != nil {
		ch.note("API keys", ch.keys.Reload)
	}
	for _, s := range ch.keySets {
		if s.FromFile() {
			ch.note(s.name, s.Reload)
		}
	}
	if ch.tls != nil {
		ch.note("TLS files", ch.tls.Reload)
	}
}
