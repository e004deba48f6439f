package auth

import (
	"context"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"

	"portcullis/gateway/auth/apikey"
	"portcullis/gateway/auth/cert"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/auth/token"
)

// Who vouches for names beside the issuers of tokens.
const (
	sourceKeys  = "API keys"
	sourceCerts = "client certificates"
)

// maxOwned bounds the names that are remembered of one source.
const maxOwned = 1 << 14

// owners keep a name to the one who vouches for it. Whoever names subjects at one
// issuer would else name the callers of another, and of the API keys. The names of
// API keys are known, so they belong to the keys alone. The names of the others are
// not known in advance: the source that uses one first has it until the gateway
// restarts, unless tenants or the texts of their templates keep them apart anyway.
// A source that uses many names forgets its own, never those of another.
type owners struct {
	keys *apikey.Store // nil without API keys
	by   map[string]*lru.Cache[string, struct{}]
}

// openOwners finds out whose names can meet.
func (ch *Authenticator) openOwners() error {
	if ch.cfg.SharedSubjects {
		return nil
	}
	o := &owners{keys: ch.keys, by: map[string]*lru.Cache[string, struct{}]{}}
	for _, source := range ch.openSources() {
		seen, err := lru.New[string, struct{}](maxOwned)
		if err != nil {
			return err
		}
		o.by[source] = seen
	}
	ch.warn("SUBJECT_BINDING", Overlaps(ch.cfg))
	ch.owners = o
	return nil
}

// openSources are those who vouch for names that are not known in advance.
func (ch *Authenticator) openSources() (out []string) {
	if ch.tokens != nil {
		for _, e := range ch.issuers() {
			out = append(out, e.source)
		}
	}
	if ch.tls != nil && ch.tls.Asks() || ch.cfg.MTLS.Headers {
		out = append(out, sourceCerts)
	}
	return out
}

// check refuses a name that another source has. A nil receiver refuses nothing.
func (o *owners) check(name, source string) error {
	if o == nil || source == sourceKeys {
		return nil
	}
	if o.keys != nil && o.keys.Owns(name) {
		return fmt.Errorf("%w: an API key has the name; SUBJECT_BINDING=shared would make both one caller", rule.Taken)
	}
	if len(o.by) < 2 {
		return nil
	}
	for other, names := range o.by {
		if other != source && names.Contains(name) {
			return fmt.Errorf("%w: %s used the name first, now %s does; give one of them a tenant or a text in front of its subjects", rule.Taken, other, source)
		}
	}
	if own := o.by[source]; own != nil {
		own.Add(name, struct{}{})
	}
	return nil
}

// Overlaps says which of those who vouch for names can name the same subject, for
// the operator; nothing when names are shared anyway.
func Overlaps(cfg Config) (warnings []string) {
	if cfg.SharedSubjects {
		return nil
	}
	type space struct {
		source string
		claims token.Claims
	}
	var all []space
	if cfg.JWT.Enabled {
		for _, e := range (&Authenticator{cfg: cfg}).issuers() {
			all = append(all, space{e.source, e.Claims})
		}
	}
	if asks := cfg.TLS.ClientAuth; asks == "request" || asks == "require" || cfg.MTLS.Headers {
		all = append(all, space{sourceCerts, token.Claims{SPIFFE: cfg.MTLS.SubjectFrom == string(cert.FromSPIFFE)}})
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if a.source != b.source && token.MayMeet(a.claims, b.claims) {
				warnings = append(warnings, fmt.Sprintf(
					"%s and %s can name the same subject; the one that uses a name first has it until the restart. Give one of them a tenant, or a text in front of its subject, as in subject = \"ci-{sub}\"", b.source, a.source))
			}
		}
	}
	return warnings
}

// enter takes a place to check a credential for a suspect address, so that others
// always have processors left.
func (ch *Authenticator) enter(ctx context.Context) error {
	select {
	case ch.checking <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", rule.Limited, context.Cause(ctx))
	}
}

func (ch *Authenticator) leave() { <-ch.checking }
