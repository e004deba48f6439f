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
	"time"

	"portcullis/gateway/auth/apikey"
	"portcullis/gateway/auth/cert"
	"portcullis/gateway/auth/deny"
	"portcullis/gateway/auth/dpop"
	"portcullis/gateway/auth/keyset"
	"portcullis/gateway/auth/peer"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/auth/token"
	"portcullis/gateway/call"
)

// Chain authenticates requests. It is safe for concurrent use. Its background
// work (reloads, key fetches) happens in Run.
type Chain struct {
	cfg      Config
	log      *slog.Logger
	trust    peer.Trust
	failures *peer.Failures
	denied   *deny.List
	keys     *apikey.Store   // nil when the method is off
	tokens   *token.Verifier // nil when the method is off
	issuer   *keyset.Source  // nil when no published keys are used
	proofs   *dpop.Checker
	tls      *cert.Server // nil for a listener without TLS
	certs    certNames
	now      func() time.Time
	changed  notice
	health   health
}

// New checks the configuration and reads every file that it names. The error
// lists every problem.
func New(cfg Config) (*Chain, error) {
	ch := &Chain{cfg: cfg, log: cfg.Log, trust: cfg.TrustedProxies, proofs: dpop.New(cfg.ProofSeen), now: time.Now}
	if ch.log == nil {
		ch.log = slog.New(slog.DiscardHandler)
	}
	if n := cfg.FailuresPerMinute; n >= 0 {
		if n == 0 {
			n = 300
		}
		ch.failures = peer.NewFailures(n)
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

func (ch *Chain) openKeys() error {
	if !ch.cfg.APIKeys.Enabled {
		return nil
	}
	keys, warnings, err := apikey.Open(apikey.Options{
		JSON: ch.cfg.APIKeys.JSON.Reveal(), File: ch.cfg.APIKeys.File,
		Base: ch.cfg.DefaultPrefix, Loopback: ch.cfg.Loopback,
	})
	for _, w := range warnings {
		ch.log.Warn("weak API key", "detail", w)
	}
	ch.keys = keys
	return err
}

func (ch *Chain) openDenyList() (err error) {
	ch.denied, err = deny.Open(ch.cfg.DenyListFile)
	return err
}

// SourceIP returns where a request comes from: the peer, or the hop that a
// trusted proxy vouches for. It is the zero Addr for a Unix socket.
func (ch *Chain) SourceIP(r *http.Request) netip.Addr { return ch.trust.Source(r) }

// Trusts reports whether an address is one of the configured proxies.
func (ch *Chain) Trusts(a netip.Addr) bool { return ch.trust.Contains(a) }

// Scheme returns the scheme that the client used, which a trusted proxy may know.
func (ch *Chain) Scheme(r *http.Request) string { return ch.trust.Scheme(r) }

// Authenticate returns the caller of a request. It reads headers and the TLS
// state, never the body, and removes client certificate headers that did not come
// from a trusted proxy. Errors are *call.Error with the code Unauthenticated,
// AmbiguousCredentials or RateLimited. The rule that was broken is in Err, for the
// log; nothing of the credential is.
func (ch *Chain) Authenticate(r *http.Request) (*call.Caller, error) {
	now, src := ch.now(), ch.SourceIP(r)
	ch.strip(r)
	if wait := ch.failures.Blocked(src, now); wait > 0 {
		limited.Inc()
		return nil, &call.Error{
			Code: call.RateLimited, Msg: "too many refused credentials from this address",
			Err: rule.Limited, RetryAfter: wait,
		}
	}
	c, err := ch.identify(r, now)
	if err != nil {
		return nil, ch.refuse(src, err)
	}
	ch.refreshDenied(now)
	if err := ch.denied.Check(c, now); err != nil {
		return nil, ch.refuse(src, err)
	}
	accepted(c.Method).Inc()
	c.SourceIP = src
	return c, nil
}

// identify finds the one credential and verifies it. A client certificate may
// accompany a key or a token, and is verified then as well; alone it is the
// credential. The caller is a copy of its own.
func (ch *Chain) identify(r *http.Request, now time.Time) (*call.Caller, error) {
	cred, err := presented(r)
	if err != nil {
		return nil, err
	}
	holder, err := ch.certificate(r, now)
	if err != nil {
		return nil, err
	}
	var shared *call.Caller
	switch {
	case cred.method == call.APIKey:
		shared, err = ch.byKey(cred.value, now)
	case cred.method == call.JWT:
		shared, err = ch.byToken(r, cred, holder)
	case holder != nil:
		shared = holder
	default:
		err = rule.NoCredential
	}
	if err != nil {
		return nil, err
	}
	own := *shared
	if holder != nil {
		own.CertFP, own.CertSerial = holder.CertFP, holder.CertSerial
	}
	return &own, nil
}

func (ch *Chain) byKey(value string, now time.Time) (*call.Caller, error) {
	if ch.keys == nil {
		return nil, fmt.Errorf("%w: API keys", rule.MethodOff)
	}
	return ch.keys.Lookup(value, now)
}

// refuse turns a broken rule into the answer. All bad credentials answer alike. A
// request without a credential is not a failed attempt: clients of OAuth begin
// with one.
func (ch *Chain) refuse(src netip.Addr, err error) error {
	broken := rule.Of(err)
	refused(broken).Inc()
	if broken == rule.NoCredential {
		return call.Wrap(call.Unauthenticated, "authentication is required", err)
	}
	ch.failures.Add(src, ch.now())
	if broken == rule.Ambiguous {
		return call.Wrap(call.AmbiguousCredentials, "more than one credential was presented", err)
	}
	return call.Wrap(call.Unauthenticated, "the credential is not valid", err)
}
