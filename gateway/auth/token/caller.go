package token

import (
	"fmt"
	"slices"
	"strings"

	"portcullis/gateway/auth/principal"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

// maxActors bounds a delegation chain.
const maxActors = 8

// caller maps claims to a principal.
func (v *Verifier) caller(b body) (*call.Caller, error) {
	m := v.o.Claims
	c := &call.Caller{Method: call.JWT}
	if err := v.identity(c, b); err != nil {
		return nil, err
	}
	var err error
	if c.Kind, err = b.text(m.Kind); err != nil {
		return nil, err
	}
	if c.Roles, err = b.words(m.Roles, whole); err != nil {
		return nil, err
	}
	if c.Scopes, err = scopes(b, m.Scopes); err != nil {
		return nil, err
	}
	for name, to := range map[string]*string{"iss": &c.Issuer, "jti": &c.TokenID} {
		if *to, err = b.text(name); err != nil {
			return nil, err
		}
	}
	if act, ok := b["act"]; ok {
		if c.OnBehalfOf, err = v.actor(act, c.Tenant, maxActors); err != nil {
			return nil, err
		}
	}
	if c.Claims, err = pass(v.pass, b); err != nil {
		return nil, err
	}
	return c, principal.Check(c, v.o.Base)
}

// identity sets subject and tenant.
func (v *Verifier) identity(c *call.Caller, b body) error {
	m := v.o.Claims
	sub, err := b.text(m.Subject)
	if err != nil {
		return err
	}
	if sub == "" {
		return rule.NoSubject
	}
	if m.SPIFFE {
		c.Tenant, c.Subject, err = v.spiffe.Parse(sub)
		return err
	}
	c.Subject = sub
	if m.Tenant == "" {
		return nil
	}
	if c.Tenant, err = b.text(m.Tenant); err == nil && c.Tenant == "" {
		err = fmt.Errorf("%w: no tenant", rule.UnsafeName)
	}
	return err
}

// scopes unites the scope claims: a string of words (RFC 6749 section 3.3), a
// list, or both. Missing ones are no scopes.
func scopes(b body, names []string) ([]string, error) {
	out := []string{}
	for _, name := range names {
		words, err := b.words(name, func(s string) []string {
			if s == "" {
				return nil
			}
			return strings.Split(s, " ")
		})
		if err != nil {
			return nil, err
		}
		for _, w := range words {
			if !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	return out, nil
}

// actor reads the chain of those who act for the subject (RFC 8693 section 4.1).
func (v *Verifier) actor(act any, tenant string, left int) (*call.Actor, error) {
	m, ok := act.(map[string]any)
	sub, named := m["sub"].(string)
	if !ok || !named || left == 0 {
		return nil, rule.BadActor
	}
	raw := sub
	if v.o.Claims.SPIFFE {
		t, s, err := v.spiffe.Parse(sub)
		if err != nil || t != tenant {
			return nil, fmt.Errorf("%w: not a SPIFFE id of the same trust domain", rule.BadActor)
		}
		sub = s
	}
	if _, err := call.ParseSubject(sub); err != nil {
		return nil, fmt.Errorf("%w: not a safe name", rule.BadActor)
	}
	a := &call.Actor{Subject: sub, RawSubject: raw, Kind: v.actorKind(m)}
	a.Issuer, _ = m["iss"].(string)
	next, more := m["act"]
	if !more {
		return a, nil
	}
	var err error
	a.Next, err = v.actor(next, tenant, left-1)
	return a, err
}

// actorKind is what the actor's own kind claim says, agent when it says nothing
// that the gateway knows.
func (v *Verifier) actorKind(act body) string {
	if k, err := act.text(v.o.Claims.Kind); err == nil && principal.ValidKind(k) {
		return k
	}
	return "agent"
}
