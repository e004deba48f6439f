package auth

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"

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

// maxOwned bounds the names that are remembered of one source, at about 20 bytes each.
const maxOwned = 1 << 18

// owners keep a name to the source that vouches for it. Whoever names subjects at one
// issuer would else name the callers of another, and of the API keys. The names of
// API keys are known, so they belong to the keys alone. The names of the others are
// not known in advance: the source that uses one first has it until the gateway
// restarts, unless tenants or the texts of their templates keep them apart anyway.
// No name is ever forgotten for newer ones: a source that uses more than are remembered
// has its further names refused, and those of others are not touched.
type owners struct {
	keys *apikey.Store // nil without API keys
	most int           // names of one source
	seed maphash.Seed

	mu    sync.RWMutex      // guards the fields below
	of    map[uint64]string // who vouches for a name, by the hash of the name
	count map[string]int    // names of each source
}

// openOwners finds out whose names can meet.
func (ch *Authenticator) openOwners() error {
	if ch.cfg.SharedSubjects {
		return nil
	}
	o := newOwners(ch.keys, ch.openSources())
	ch.warn("SUBJECT_BINDING", Overlaps(ch.cfg))
	ch.owners = o
	return nil
}

// newOwners makes the table of those who vouch for names that are not known in advance.
func newOwners(keys *apikey.Store, sources []string) *owners {
	o := &owners{keys: keys, most: maxOwned, seed: maphash.MakeSeed(), of: map[uint64]string{}, count: map[string]int{}}
	for _, source := range sources {
		o.count[source] = 0
	}
	return o
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
	if len(o.count) < 2 {
		return nil
	}
	h := maphash.String(o.seed, name)
	o.mu.RLock()
	owner, known := o.of[h]
	o.mu.RUnlock()
	if !known {
		owner = o.claim(h, source)
	}
	switch owner {
	case source:
		return nil
	case "":
		return fmt.Errorf("%w: %s uses more than %d names, and no further ones are told apart from those of others; give it a tenant or a text in front of its subjects", rule.Taken, source, o.most)
	}
	return fmt.Errorf("%w: %s used the name first, now %s does; give one of them a tenant or a text in front of its subjects", rule.Taken, owner, source)
}

// claim gives a name to a source unless another has it, and returns whose it is; empty
// when there is no room for more names of the source.
func (o *owners) claim(h uint64, source string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if owner, known := o.of[h]; known {
		return owner
	}
	if o.count[source] >= o.most {
		return ""
	}
	o.of[h] = source
	o.count[source]++
	return source
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
