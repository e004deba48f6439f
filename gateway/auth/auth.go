// Package auth says who calls: one presented credential becomes one call.Caller,
// or the call ends. A credential that is presented and bad is final; no other
// method is tried in its place.
package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"time"

	"portcullis/gateway/auth/apikey"
	"portcullis/gateway/auth/cert"
	"portcullis/gateway/auth/deny"
	"portcullis/gateway/auth/dpop"
	"portcullis/gateway/auth/peer"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/auth/token"
	"portcullis/gateway/call"
)

// Authenticator authenticates requests. It is safe for concurrent use. Its background
// work (reloads, key fetches) happens in Run.
type Authenticator struct {
	cfg      Config
	log      *slog.Logger
	trust    peer.Trust
	failures *peer.Failures
	denied   *deny.List
	keys     *apikey.Store   // nil when the method is off
	tokens   *token.Verifier // nil when the method is off
	keySets  []keySet        // of the issuers that publish keys
	proofs   *dpop.Checker
	tls      *cert.Server // nil for a listener without TLS
	certs    certNames
	owners   *owners       // nil when names are shared
	checking chan struct{} // the places of those who check credentials for suspect addresses
	now      func() time.Time
	changed  notice
	health   health
}

// New checks the configuration and reads every file that it names. The error
// lists every problem.
func New(cfg Config) (*Authenticator, error) {
	ch := &Authenticator{cfg: cfg, log: cfg.Log, trust: cfg.TrustedProxies, proofs: dpop.New(cfg.ProofSeen), now: time.Now}
	ch.checking = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))
	if ch.log == nil {
		ch.log = slog.New(slog.DiscardHandler)
	}
	if n := cfg.FailuresPerMinute; n >= 0 {
		if n == 0 {
			n = 300
		}
		ch.failures = peer.NewFailures(n, cfg.CountFailure)
	}
	var errs []error
	for _, part := range []struct {
		name string
		open func() error
	}{
		{"API keys", ch.openKeys},
		{"JWT", ch.openTokens},
		{"TLS", ch.openTLS},
		{"mTLS", ch.openCertNames},
		{"SUBJECT_BINDING", ch.openOwners},
		{"deny list", ch.openDenyList},
		{"PUBLIC_URL", ch.checkPublicURL},
	} {
		if err := part.open(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", part.name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return ch, nil
}

func (ch *Authenticator) openKeys() error {
	if !ch.cfg.APIKeys.Enabled {
		return nil
	}
	keys, warnings, err := apikey.Open(apikey.Options{
		JSON: ch.cfg.APIKeys.JSON.Reveal(), File: ch.cfg.APIKeys.File,
		Base: ch.cfg.DefaultPrefix, Loopback: ch.cfg.Loopback,
	})
	ch.warn("weak API key", warnings)
	ch.keys = keys
	return err
}

func (ch *Authenticator) warn(what string, details []string) {
	for _, d := range details {
		ch.log.Warn(what, "detail", d)
	}
}

func (ch *Authenticator) openDenyList() (err error) {
	ch.denied, err = deny.Open(ch.cfg.DenyListFile)
	return err
}

// SourceIP returns where a request comes from: the peer, or the hop that a
// trusted proxy vouches for. It is the zero Addr for a Unix socket.
func (ch *Authenticator) SourceIP(r *http.Request) netip.Addr { return ch.trust.Source(r) }

// Trusts reports whether an address is one of the configured proxies.
func (ch *Authenticator) Trusts(a netip.Addr) bool { return ch.trust.Contains(a) }

// Scheme returns the scheme that the client used, which a trusted proxy may know.
func (ch *Authenticator) Scheme(r *http.Request) string { return ch.trust.Scheme(r) }

// Authenticate returns the caller of a request. It reads headers and the TLS
// state, never the body, and removes client certificate headers that did not come
// from a trusted proxy. Errors are *call.Error with the code Unauthenticated,
// AmbiguousCredentials, RateLimited or Overloaded. The rule that was broken is in
// Err, for the log; nothing of the credential is. A credential that is good passes,
// whatever others have presented from the same address. A second credential, in
// X-On-Behalf-Of, must be good as well (Behalf).
func (ch *Authenticator) Authenticate(r *http.Request) (*call.Caller, error) {
	now, src := ch.now(), ch.SourceIP(r)
	ch.strip(r)
	wait := ch.failures.Blocked(src, now)
	c, err := ch.identify(r, presence{from: src, now: now, suspect: wait > 0})
	if err != nil {
		return nil, ch.refuse(src, wait, err)
	}
	ch.refreshDenied(now)
	if err := ch.denied.Check(c, now); err != nil {
		return nil, ch.refuse(src, wait, err)
	}
	accepted(c.Method).Inc()
	return ch.behalf(r, c)
}

// presence is a credential in its circumstances.
type presence struct {
	credential
	holder  *call.Caller // whom the client certificate names, nil for none
	from    netip.Addr
	now     time.Time
	suspect bool // the address has presented many bad ones
}

// identify finds the one credential and verifies it. A client certificate may
// accompany a key or a token: it is verified then as well and noted on the caller,
// but the key or the token says who that is. Alone it is the credential. Calls with a
// token alone, from one address, share the caller.
func (ch *Authenticator) identify(r *http.Request, p presence) (c *call.Caller, err error) {
	if p.credential, err = presented(r); err != nil {
		return nil, err
	}
	if p.holder, err = ch.certificate(r, p.now); err != nil {
		return nil, err
	}
	shared, source, err := ch.caller(r, p)
	if err != nil {
		return nil, err
	}
	if err := ch.owners.check(shared.Key(), source); err != nil {
		return nil, err
	}
	if p.holder == nil && shared.SourceIP == p.from {
		return shared, nil
	}
	own := *shared
	own.SourceIP = p.from
	if p.holder != nil {
		own.CertFP, own.CertSerial = p.holder.CertFP, p.holder.CertSerial
	}
	return &own, nil
}

// caller returns whom a credential names, and who vouches for that.
func (ch *Authenticator) caller(r *http.Request, p presence) (*call.Caller, string, error) {
	switch {
	case p.method == call.APIKey || ch.byBearer(p.credential):
		c, err := ch.byKey(p.value, p.now)
		return c, sourceKeys, err
	case p.method == call.JWT:
		return ch.byToken(r, p)
	case p.holder != nil:
		return p.holder, sourceCerts, nil
	}
	return nil, "", rule.NoCredential
}

func (ch *Authenticator) byKey(value string, now time.Time) (*call.Caller, error) {
	if ch.keys == nil {
		return nil, fmt.Errorf("%w: API keys", rule.MethodOff)
	}
	return ch.keys.Lookup(value, now)
}

// refuse turns a broken rule into the answer. A request without a credential is not
// a failed attempt: clients of OAuth begin with one. From an address that has to
// wait, bad ones are told so and nothing else.
func (ch *Authenticator) refuse(src netip.Addr, wait time.Duration, err error) error {
	broken := rule.Of(err)
	refused(broken).Inc()
	switch broken {
	case rule.NoCredential:
		return call.Wrap(call.Unauthenticated, "authentication is required", err)
	case rule.ProofFlood:
		return &call.Error{Code: call.RateLimited, Msg: "too many DPoP proofs of this caller", Err: err, RetryAfter: dpop.Age}
	case rule.ProofStore:
		return call.Wrap(call.Overloaded, "the DPoP proof cannot be checked now", err)
	}
	if wait > 0 {
		limited.Inc()
		return &call.Error{
			Code: call.RateLimited, Msg: "too many refused credentials from this address",
			Err: fmt.Errorf("%w: %w", rule.Limited, err), RetryAfter: wait,
		}
	}
	ch.failures.Add(src, ch.now())
	if broken == rule.Ambiguous {
		return call.Wrap(call.AmbiguousCredentials, "more than one credential was presented; send X-API-Key or Authorization, once", err)
	}
	return call.Wrap(call.Unauthenticated, "the credential is not valid: "+broken.Word(), err)
}
