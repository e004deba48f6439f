package vaultpolicy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"portcullis/gateway/call"
)

// Setup is what Vault is told so that the gateway needs no credential of its own: a JWT
// auth method (Vault API, auth/jwt) that takes the gateway's word for who a caller is,
// policies that are made of the caller's entity, and the gateway's own, which reads no
// secret.
type Setup struct {
	Mount   string   // of the auth method, below auth/
	Issuer  string   // URL of the gateway as Vault knows it
	Keys    []string // its public keys in PEM; none lets Vault fetch them from Issuer
	Caller  string   // role of callers' requests
	Lease   string   // role of what their leases depend on
	Gateway string   // role of the gateway itself
	Own     string   // subject of the gateway itself

	Audience string
	Registry string // path of the registry of leases, mount first: secret/mcp/.leases
	Firm     string // the same of FIRM_STORE, empty for a file: portcullis/state
	Anchor   string // the same of AUDIT_ANCHORS, empty for none in Vault
	Signing  string // AUDIT_SIGN_TRANSIT_KEY, empty for a key in a file: transit/evidence
	Rules    Rules  // of callers, with OwnPrefix in the place of their prefix
}

// OwnPrefix stands for a caller's prefix in rules that are for all callers: Vault fills it
// in from the caller's entity (Vault docs, concepts/policies, templated policies).
func OwnPrefix(accessor string) string {
	return "{{identity.entity.aliases." + accessor + ".metadata.prefix}}"
}

// Step is one write to Vault.
type Step struct {
	Path string
	Body map[string]any
}

// Placeholder stands for the accessor of the auth method where it is not known yet.
const Placeholder = "ACCESSOR"

// EnableAuth makes the auth method, whose accessor the other steps need.
func (s Setup) EnableAuth() Step {
	return Step{"sys/auth/" + s.Mount, map[string]any{"type": "jwt", "description": "callers of the gateway"}}
}

// Steps are the other writes. They may be repeated.
func (s Setup) Steps(accessor string) []Step {
	config := map[string]any{"bound_issuer": s.Issuer, "jwt_validation_pubkeys": s.Keys}
	if len(s.Keys) == 0 {
		config = map[string]any{"bound_issuer": s.Issuer, "jwks_url": s.Issuer + "/oidc/jwks"}
	}
	caller := strings.ReplaceAll(s.Rules.HCL(), prefixMark, OwnPrefix(accessor))
	at := "auth/" + s.Mount
	return []Step{
		{at + "/config", config},
		{"sys/policies/acl/" + s.Caller, map[string]any{"policy": caller}},
		{"sys/policies/acl/" + s.Gateway, map[string]any{"policy": s.gatewayRules().HCL()}},
		{at + "/role/" + s.Caller, s.role(s.Caller, map[string]any{"token_policies": []string{s.Caller}, "token_type": "batch", "token_ttl": "5m"})},
		{at + "/role/" + s.Lease, s.role(s.Lease, map[string]any{"token_policies": []string{s.Caller}, "token_type": "service", "token_ttl": "1h"})},
		{at + "/role/" + s.Gateway, s.role(s.Gateway, map[string]any{"token_policies": []string{s.Gateway}, "token_type": "service", "token_ttl": "1h", "bound_subject": s.Own})},
	}
}

// role is a role that takes assertions for itself alone.
func (s Setup) role(name string, more map[string]any) map[string]any {
	r := map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{s.Audience}, "bound_claims": map[string]any{"target": name},
	}
	if name != s.Gateway {
		r["claim_mappings"] = map[string]string{"prefix": "prefix", "subject": "subject", "tenant": "tenant", "kind": "kind"}
	}
	maps.Copy(r, more)
	return r
}

// gatewayRules are what the gateway needs for itself: to look after leases and tokens, to
// wrap answers, the registry, and what must not be lost. No secret is among them.
func (s Setup) gatewayRules() Rules {
	r := Rules{}
	for _, place := range []string{s.Registry, s.Firm} {
		if mount, path, ok := strings.Cut(place, "/"); ok { // a mount has no slash here
			for _, verb := range []string{"data", "metadata"} {
				r.allow(mount+"/"+verb+"/"+path+"/*", []string{"create", "read", "update", "delete", "list"})
			}
		}
	}
	if mount, path, ok := strings.Cut(s.Anchor, "/"); ok {
		r.allow(mount+"/data/"+path, []string{"create", "read", "update"})
	}
	if i := strings.LastIndexByte(s.Signing, '/'); i > 0 {
		r.allow(s.Signing[:i]+"/sign"+s.Signing[i:], []string{"update"})
		r.allow(s.Signing[:i]+"/keys"+s.Signing[i:], []string{"read"})
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

// prefixMark is the prefix in rules for all callers until the accessor is known. It is a
// clean path, as prefixes are.
const prefixMark = "OWN-PREFIX"

// ForAll are the rules of all callers at once: what each may in its own prefix, and what
// the data grant any of them. A second fence is no decision: between callers it keeps
// apart what is their own.
func ForAll(granted [][]string, rules func(*call.Caller) Rules) Rules {
	prefix, _ := call.ParsePath(prefixMark)
	all := rules(&call.Caller{Subject: "any", Prefix: prefix, Method: call.APIKey})
	for _, who := range granted {
		maps.Copy(all, merged(all, rules(&call.Caller{Tenant: who[0], Subject: who[1], Prefix: prefix, Method: call.APIKey})))
	}
	return all
}

func merged(a, b Rules) Rules {
	out := Rules{}
	for _, r := range []Rules{a, b} {
		for path, can := range r {
			out.allow(path, slices.Collect(maps.Keys(can)))
		}
	}
	return out
}

// Print writes the steps as commands of Vault's CLI (cli), or as Terraform's
// vault_generic_endpoint (terraform). The accessor is read in the first step.
func (s Setup) Print(form string) (string, error) {
	switch form {
	case "hcl":
		steps := s.Steps(Placeholder)
		return fmt.Sprintf("# policy %s\n%s\n# policy %s\n%s", s.Caller, steps[1].Body["policy"], s.Gateway, steps[2].Body["policy"]), nil
	case "cli":
		return s.commands()
	case "terraform":
		return s.terraform()
	}
	return "", errors.New("--print is one of hcl, cli and terraform")
}

func (s Setup) commands() (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "vault auth enable -path=%s jwt\n%s=$(vault read -field=accessor sys/auth/%s)\n", s.Mount, Placeholder, s.Mount)
	for _, step := range s.Steps("${" + Placeholder + "}") {
		raw, err := json.Marshal(step.Body)
		if err != nil {
			return "", err
		}
		quoted := strings.ReplaceAll(string(raw), `'`, `'\''`)
		quoted = strings.ReplaceAll(quoted, "${"+Placeholder+"}", `'"${`+Placeholder+`}"'`)
		fmt.Fprintf(&b, "printf '%%s' '%s' | vault write %s -\n", quoted, step.Path)
	}
	return b.String(), nil
}

func (s Setup) terraform() (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "resource \"vault_jwt_auth_backend\" \"gateway\" {\n  path = %q\n  bound_issuer = %q\n", s.Mount, s.Issuer)
	if len(s.Keys) > 0 {
		raw, err := json.Marshal(s.Keys)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  jwt_validation_pubkeys = %s\n}\n", raw)
	} else {
		fmt.Fprintf(&b, "  jwks_url = %q\n}\n", s.Issuer+"/oidc/jwks")
	}
	for i, step := range s.Steps("${vault_jwt_auth_backend.gateway.accessor}")[1:] {
		raw, err := json.Marshal(step.Body)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\nresource \"vault_generic_endpoint\" \"gateway_%d\" {\n  path = %q\n  ignore_absent_fields = true\n  data_json = jsonencode(%s)\n  depends_on = [vault_jwt_auth_backend.gateway]\n}\n", i+1, step.Path, raw)
	}
	return b.String(), nil
}
