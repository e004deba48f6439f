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
func (i *issuer) caller(b body) (*call.Caller, error) {
	m := i.Claims
	c := &call.Caller{Method: call.JWT}
	err := i.identity(c, b)
	if err != nil {
		return nil, err
	}
	if c.Roles, err = b.names(m.Roles); err != nil {
		return nil, err
	}
	if c.Groups, err = b.names(m.Groups); err != nil {
		return nil, err
	}
	if c.Scopes, err = i.scopes(b); err != nil {
		return nil, err
	}
	for name, to := range map[string]*string{"iss": &c.Issuer, "jti": &c.TokenID, m.Kind: &c.Kind} {
		if *to, err = b.text(name); err != nil {
			return nil, err
		}
	}
	if c.Kind == "" {
		c.Kind = m.Default
	}
	if act, ok := b["act"]; ok {
		if c.OnBehalfOf, err = i.actor(act, c.Tenant, maxActors); err != nil {
			return nil, err
		}
	}
	if c.Claims, err = pass(i.pass, b); err != nil {
		return nil, err
	}
	return c, principal.Check(c, i.base)
}

// identity sets subject and tenant.
func (i *issuer) identity(c *call.Caller, b body) (err error) {
	if c.RawSubject, err = i.subject.expand(b); err != nil {
		return err
	}
	if i.Claims.SPIFFE {
		c.Tenant, c.Subject, err = i.spiffe.Parse(c.RawSubject)
		return err
	}
	c.Subject = principal.Segment(c.RawSubject)
	if c.Tenant = i.Claims.FixedTenant; i.tenant == nil {
		return nil
	}
	tenant, err := i.tenant.expand(b)
	if err != nil {
		return fmt.Errorf("%w: no tenant: %v", rule.UnsafeName, err.Error())
	}
	c.Tenant = principal.Segment(tenant)
	return nil
}

// scopes unites the scope claims: a string of words (RFC 6749 section 3.3), a
// list, or both. Missing ones are no scopes. Foreign names add those of the
// gateway that they are mapped to; a token that then names none of the gateway's
// has the default ones.
func (i *issuer) scopes(b body) ([]string, error) {
	out, seen := []string{}, map[string]bool{}
	add := func(words []string) {
		for _, w := range words {
			if !seen[w] {
				seen[w] = true
				out = append(out, w)
			}
		}
	}
	for _, name := range i.Claims.Scopes {
		words, err := b.words(name, func(s string) []string {
			if s == "" {
				return nil
			}
			return strings.Split(s, " ")
		})
		if err != nil {
			return nil, err
		}
		add(words)
	}
	for _, w := range slices.Clone(out) {
		add(i.Claims.ScopeMap[w])
	}
	if !slices.ContainsFunc(out, principal.Ours) {
		add(i.Claims.DefaultScopes)
	}
	return out, nil
}

// actor reads the chain of those who act for the subject (RFC 8693 section 4.1).
func (i *issuer) actor(act any, tenant string, left int) (*call.Actor, error) {
	m, ok := act.(map[string]any)
	raw, named := m["sub"].(string)
	if !ok || !named || raw == "" || left == 0 {
		return nil, rule.BadActor
	}
	a := &call.Actor{Subject: principal.Segment(raw), RawSubject: raw, Kind: i.actorKind(m)}
	a.Issuer, _ = m["iss"].(string)
	if i.Claims.SPIFFE {
		t, s, err := i.spiffe.Parse(raw)
		if err != nil || t != tenant {
			return nil, fmt.Errorf("%w: not a SPIFFE id of the same trust domain", rule.BadActor)
		}
		a.Subject = s
	}
	next, more := m["act"]
	if !more {
		return a, nil
	}
	var err error
	a.Next, err = i.actor(next, tenant, left-1)
	return a, err
}

// actorKind is what the actor's own kind claim says, agent when it says nothing
// that the gateway knows.
func (i *issuer) actorKind(act body) string {
	if k, err := act.text(i.Claims.Kind); err == nil && principal.ValidKind(k) {
		return k
	}
	return "agent"
}
