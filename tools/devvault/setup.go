package main

import (
	"context"
	_ "embed"
	"fmt"
	"time"
)

//go:embed gateway.hcl
var gatewayPolicy string

// step is one write. Every step may be repeated without harm, because a crash
// may have cut the first start off.
type step struct {
	path string
	data map[string]any
}

// mount is an engine below sys/mounts or an auth method below sys/auth.
type mount struct {
	table, path, kind string
	options           map[string]any
}

func mounts() []mount {
	return []mount{
		{"sys/mounts", "secret", "kv", map[string]any{"version": "2"}},
		{"sys/mounts", "transit", "transit", nil},
		{"sys/mounts", "ssh", "ssh", nil},
		{"sys/mounts", "database", "database", nil},
		{"sys/mounts", "pki", "pki", nil},
		{"sys/mounts", "totp", "totp", nil},
		{"sys/auth", "approle", "approle", nil},
		{"sys/auth", "jwt", "jwt", nil},
		{"sys/auth", "kubernetes", "kubernetes", nil},
	}
}

func steps() []step {
	return []step{
		{"transit/keys/mcp", map[string]any{"type": "aes256-gcm96"}},
		{"transit/keys/signing", map[string]any{"type": "ed25519"}},
		{"ssh/roles/otp", map[string]any{
			"key_type":      "otp",
			"default_user":  "dev",
			"allowed_users": "*",
			"cidr_list":     "0.0.0.0/0",
		}},
		{"ssh/roles/ca", map[string]any{
			"key_type":                "ca",
			"default_user":            "dev",
			"allowed_users":           "*",
			"allowed_domains":         "*",
			"allow_user_certificates": true,
			"allow_host_certificates": true,
			"allow_user_key_ids":      true,
			"allowed_extensions":      "permit-pty,permit-port-forwarding,permit-agent-forwarding,permit-X11-forwarding,permit-user-rc",
			"default_extensions":      map[string]any{"permit-pty": ""},
			"ttl":                     "30m",
			"max_ttl":                 "24h",
		}},
		{"pki/roles/web", map[string]any{
			"allowed_domains":    "example.test",
			"allow_subdomains":   true,
			"allow_bare_domains": true,
			"allow_ip_sans":      true,
			"ttl":                "1h",
			"max_ttl":            "72h",
			"key_type":           "ec",
			"key_bits":           256,
		}},
		{"sys/policies/acl/gateway", map[string]any{"policy": gatewayPolicy}},
		// default-batch lets the request choose: batch unless it says
		// type=service. A batch token is never renewable, whatever the role says.
		{"auth/token/roles/mcp-gateway", map[string]any{
			"allowed_policies_glob": "mcp-agent-*",
			"disallowed_policies":   "root,default",
			"orphan":                false,
			"token_type":            "default-batch",
			"renewable":             true,
		}},
		// An orphan: credentials that were issued with such a token live on when the
		// gateway gives its own token back.
		{"auth/token/roles/mcp-gateway-lease", map[string]any{
			"allowed_policies_glob": "mcp-agent-*",
			"disallowed_policies":   "root,default",
			"orphan":                true,
			"token_type":            "service",
			"renewable":             true,
		}},
		{"auth/approle/role/gateway", map[string]any{
			"token_policies": "gateway",
			"token_type":     "service",
			"token_ttl":      "1h",
		}},
	}
}

// setUp makes a new Vault the documented one.
func (a admin) setUp(ctx context.Context, secretID string) error {
	for _, m := range mounts() {
		if err := a.mount(ctx, m); err != nil {
			return err
		}
	}
	if err := a.waitForKV(ctx); err != nil {
		return err
	}
	for _, s := range steps() {
		if _, err := a.write(ctx, s.path, s.data); err != nil {
			return err
		}
	}
	for _, once := range []func(context.Context) error{a.makeCA, a.makeIssuer, a.makeTOTP} {
		if err := once(ctx); err != nil {
			return err
		}
	}
	return a.addSecretID(ctx, secretID)
}

func (a admin) mount(ctx context.Context, m mount) error {
	present, err := a.read(ctx, m.table)
	if err != nil {
		return err
	}
	if present[m.path+"/"] != nil {
		return nil
	}
	_, err = a.write(ctx, m.table+"/"+m.path, map[string]any{"type": m.kind, "options": m.options})
	return err
}

// makeCA generates the key that signs SSH certificates, once.
func (a admin) makeCA(ctx context.Context) error {
	if _, err := a.read(ctx, "ssh/config/ca"); err == nil {
		return nil
	}
	_, err := a.write(ctx, "ssh/config/ca", map[string]any{"generate_signing_key": true, "key_type": "ed25519"})
	return err
}

// makeIssuer generates the CA that signs X.509 certificates, once.
func (a admin) makeIssuer(ctx context.Context) error {
	found, err := a.read(ctx, "pki/config/issuers")
	if err != nil || fmt.Sprint(found["default"]) != "" { // of a type of its own
		return err
	}
	_, err = a.write(ctx, "pki/root/generate/internal", map[string]any{"common_name": "Development CA", "key_type": "ec", "key_bits": 256, "ttl": "768h"})
	return err
}

// makeTOTP generates the key of one-time codes, once.
func (a admin) makeTOTP(ctx context.Context) error {
	if found, err := a.read(ctx, "totp/keys/login"); err == nil && found != nil {
		return nil
	}
	_, err := a.write(ctx, "totp/keys/login", map[string]any{"generate": true, "exported": false, "issuer": "dev", "account_name": "agent"})
	return err
}

func (a admin) addSecretID(ctx context.Context, id string) error {
	const role = "auth/approle/role/gateway/"
	known, err := a.write(ctx, role+"secret-id/lookup", map[string]any{"secret_id": id})
	if err == nil && known == nil {
		_, err = a.write(ctx, role+"custom-secret-id", map[string]any{"secret_id": id})
	}
	return err
}

// waitForKV returns when the mount takes requests: Vault refuses them while it
// prepares the versioned store.
func (a admin) waitForKV(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(30 * time.Second)
	for {
		_, err := a.read(ctx, "secret/config")
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
