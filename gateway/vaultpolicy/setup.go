package vaultpolicy

import "maps"

// Setup is what the set-ups of all ways have in common: places where the gateway keeps
// things of its own, and what callers may.
type Setup struct {
	Registry Place // of leases
	Firm     Place // FIRM_STORE
	Anchor   Place // AUDIT_ANCHORS
	Signs    Place // AUDIT_SIGN_TRANSIT_KEY, a key of a transit mount
	Fence    Fence // of callers
}

// Place is a path in a KV mount of version 2. The zero Place is nowhere.
type Place struct{ Mount, Path string }

// Keyless is the set-up that lets the gateway hold no credential: a JWT auth method (Vault
// API, auth/jwt) that takes the gateway's word for who a caller is, policies that are made
// of the caller's entity, and the gateway's own, which reads no secret.
type Keyless struct {
	Setup
	Mount   string   // of the auth method, below auth/
	Issuer  string   // URL of the gateway as Vault knows it
	Keys    []string // its public keys in PEM; none lets Vault fetch them from Issuer
	Caller  string   // role of callers' requests
	Lease   string   // role of what their leases depend on
	Gateway string   // role of the gateway itself
	Own     string   // subject of the gateway itself

	Audience  string
	ClaimMark string // begins the names of callers' own claims in what the gateway signs
}

// Placeholder stands for the accessor of the auth method, which Vault makes.
const Placeholder = "ACCESSOR"

// ofEntity is a word of the caller's entity: Vault fills it in (Vault docs,
// concepts/policies, templated policies).
func ofEntity(word string) string {
	return "{{identity.entity.aliases." + Placeholder + ".metadata." + word + "}}"
}

// Plan is the set-up as writes.
func (s Keyless) Plan() Plan {
	config := map[string]any{"bound_issuer": s.Issuer, "jwt_validation_pubkeys": s.Keys}
	if len(s.Keys) == 0 {
		config = map[string]any{"bound_issuer": s.Issuer, "jwks_url": s.Issuer + "/oidc/jwks"}
	}
	at := "auth/" + s.Mount
	return Plan{Mount: s.Mount, Type: "jwt", Description: "callers of the gateway", Notes: s.Fence.entityNotes(), Steps: []Step{
		{at + "/config", config},
		policyStep(s.Caller, s.Fence.ofEntities()),
		policyStep(s.Gateway, s.gatewayRules()),
		{at + "/role/" + s.Caller, s.role(s.Caller, map[string]any{"token_policies": []string{s.Caller}, "token_type": "batch", "token_ttl": "5m"})},
		{at + "/role/" + s.Lease, s.role(s.Lease, map[string]any{"token_policies": []string{s.Caller}, "token_type": "service", "token_ttl": "1h"})},
		{at + "/role/" + s.Gateway, s.role(s.Gateway, map[string]any{"token_policies": []string{s.Gateway}, "token_type": "service", "token_ttl": "1h", "bound_subject": s.Own})},
	}}
}

// role is a role that takes assertions for itself alone.
func (s Keyless) role(name string, more map[string]any) map[string]any {
	r := map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{s.Audience}, "bound_claims": map[string]any{"target": name},
	}
	if name != s.Gateway {
		words := map[string]string{"prefix": "prefix", "subject": "subject", "tenant": "tenant", "kind": "kind"}
		for _, claim := range s.Fence.Claims {
			words[s.ClaimMark+claim] = claimWord(claim)
		}
		r["claim_mappings"] = words
	}
	maps.Copy(r, more)
	return r
}

// AppRole is the set-up for a gateway that logs in with an AppRole (Vault API,
// auth/approle).
type AppRole struct {
	Setup
	Mount  string // of the auth method, below auth/
	Role   string // of the gateway, and the name of its policy
	Base   string // begins the prefixes of all callers, empty for no common beginning
	Rotate bool   // the gateway replaces its secret id (VAULT_SECRET_ID_ROTATION)
	// Child are the token roles of callers' requests and of what their leases depend on,
	// and the beginning of the names of their policies; nil lets callers use the
	// gateway's own token, which then may whatever any of them may.
	Child *Children
}

// Children are the names of what child tokens need.
type Children struct{ Role, Lease, Policies string }

// role is a token role that gives out tokens with policies of callers alone.
func (c Children) role(name, kind string, orphan bool) Step {
	return Step{"auth/token/roles/" + name, map[string]any{
		"allowed_policies_glob": c.Policies + "*", "disallowed_policies": "root,default", "renewable": true, "token_type": kind, "orphan": orphan,
	}}
}

// Plan is the set-up as writes.
func (s AppRole) Plan() Plan {
	steps := []Step{policyStep(s.Role, s.ownRules())}
	notes := s.Fence.ownNotes()
	if c := s.Child; c != nil {
		notes = s.Fence.childNotes()
		steps = append(steps, c.role(c.Role, "default-batch", false), c.role(c.Lease, "service", true))
	}
	at := "auth/" + s.Mount + "/role/" + s.Role
	steps = append(steps, Step{at, map[string]any{"token_policies": []string{s.Role}, "token_type": "service", "token_ttl": "1h"}})
	return Plan{Mount: s.Mount, Type: "approle", Description: "the gateway", Notes: notes, Steps: steps, After: []string{
		"vault read -field=role_id " + at + "/role-id > role-id",
		"(umask 077; vault write -f -field=secret_id " + at + "/secret-id > secret-id)",
	}}
}

// ownRules are the gateway's: with child tokens it may write the policies of callers and
// make their tokens, and reads no secret itself.
func (s AppRole) ownRules() Rules {
	r := s.gatewayRules()
	if s.Rotate {
		at := "auth/" + s.Mount + "/role/" + s.Role
		r.allow(at+"/secret-id", []string{"update"})
		r.allow(at+"/secret-id/destroy", []string{"update"})
	}
	c := s.Child
	if c == nil {
		return merged(r, s.Fence.ofAnybody(s.Base))
	}
	r.allow("sys/policies/acl/"+c.Policies+"*", []string{"create", "read", "update", "delete"})
	r.allow("sys/policies/acl", []string{"list"})
	for _, name := range []string{c.Role, c.Lease} {
		r.allow("auth/token/create/"+name, []string{"update"})
		r.allow("auth/token/roles/"+name, []string{"read"})
	}
	return r
}

// gatewayRules are what the gateway needs for itself: to look after leases and tokens, to
// wrap answers, the registry, and what must not be lost. No secret is among them.
func (s Setup) gatewayRules() Rules {
	r := Rules{}
	for _, at := range []Place{s.Registry, s.Firm} {
		r.keep(at, "data", "/*")
		r.keep(at, "metadata", "/*")
	}
	r.keep(s.Anchor, "data", "")
	if s.Signs.Mount != "" {
		r.allow(s.Signs.Mount+"/sign/"+s.Signs.Path, []string{"update"})
		r.allow(s.Signs.Mount+"/keys/"+s.Signs.Path, []string{"read"})
	}
	for _, p := range []string{
		"sys/leases/renew", "sys/leases/revoke", "sys/wrapping/wrap", "sys/wrapping/rewrap", "auth/token/renew-self", "auth/token/revoke-self",
		"auth/token/lookup-accessor", "auth/token/renew-accessor", "auth/token/revoke-accessor",
	} {
		r.allow(p, []string{"update"})
	}
	r.allow("auth/token/lookup-self", []string{"read"})
	return r
}

// keep allows all of a place in one part of KV version 2.
func (r Rules) keep(at Place, part, below string) {
	if at.Mount != "" {
		r.allow(at.Mount+"/"+part+"/"+at.Path+below, []string{"create", "read", "update", "delete", "list"})
	}
}

func merged(a, b Rules) Rules {
	out := Rules{}
	for _, r := range []Rules{a, b} {
		for path, can := range r {
			for c := range can {
				out.allow(path, []string{c})
			}
		}
	}
	return out
}
