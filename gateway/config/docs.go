package config

import (
	"cmp"
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/call"
)

// The comments of the Config type are what its keys mean, for people who read the code
// and for everybody else.
//
//go:embed config.go
var source string

// Key is a setting as the documents show it.
type Key struct {
	Name    string
	Section string // heading that it stands under
	Type    string
	Default string // empty for none
	Meaning string
	Example string
	Secret  bool // its value is never shown
}

// receivers are keys whose values are URLs with paths that can be credentials.
var receivers = []string{"AUDIT_SINKS", "AUDIT_ANCHORS"}

// severalMounts is the meaning of a list of mounts.
func severalMounts(name string) string {
	engine, ok := strings.CutSuffix(name, "_MOUNTS")
	if !ok {
		return ""
	}
	return "several mounts of the " + strings.ToLower(engine) + " engine, the default one first"
}

// Keys are all settings, in the order of their declaration.
func Keys() ([]Key, error) {
	file := token.NewFileSet()
	f, err := parser.ParseFile(file, "config.go", source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	fields := f.Scope.Lookup("Config").Decl.(*ast.TypeSpec).Type.(*ast.StructType).Fields.List
	defaults, t := reflect.ValueOf(Default()), reflect.TypeFor[Config]()
	var out []Key
	section, last := "", 0
	for _, field := range fields {
		meaning := strings.TrimSpace(field.Comment.Text())
		if doc := field.Doc; doc != nil {
			line := file.Position(doc.Pos()).Line
			if text := strings.Join(strings.Fields(doc.Text()), " "); line > last+1 || last == 0 {
				section = text
			} else {
				meaning = strings.TrimSpace(text + " " + meaning)
			}
		}
		last = file.Position(field.End()).Line
		sf, _ := t.FieldByName(field.Names[0].Name)
		name := sf.Tag.Get("cfg")
		if name == "-" || name == "" {
			continue
		}
		meaning = strings.TrimPrefix(meaning, sf.Name+" ")
		k := Key{Name: name, Section: section, Type: kindName(sf.Type), Meaning: meaning, Default: show(defaults.FieldByIndex(sf.Index))}
		if k.Meaning == "" {
			k.Meaning = cmp.Or(meanings[name], severalMounts(name))
		}
		k.Secret = sf.Type == reflect.TypeFor[call.Secret]() || slices.Contains(receivers, name)
		k.Example = example(k, sf.Type)
		out = append(out, k)
	}
	return out, nil
}

// show is a value as an environment variable would have it, empty for an empty one.
func show(v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool && v.Kind() != reflect.Int && v.Kind() != reflect.Int64 {
		return ""
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return x.String()
	case []string:
		return strings.Join(x, ",")
	case call.Secret:
		return "[redacted]"
	case []Issuer:
		return fmt.Sprintf("%d issuers", len(x))
	}
	if v.Kind() == reflect.Slice {
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = fmt.Sprint(v.Index(i).Interface())
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v.Interface())
}

// Value is a setting as it is in force, without a value that is a secret.
func (c Config) Value(name string) string {
	v, t := reflect.ValueOf(c), reflect.TypeFor[Config]()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("cfg") != name {
			continue
		}
		if slices.Contains(receivers, name) && !v.Field(i).IsZero() {
			return "[redacted]"
		}
		return show(v.Field(i))
	}
	return ""
}

// example is a value that the key takes.
func example(k Key, t reflect.Type) string {
	if text, ok := examples[k.Name]; ok {
		return text
	}
	switch {
	case t.Kind() == reflect.Bool:
		return map[string]string{"true": "false", "false": "true"}[k.Default]
	case k.Default != "" && k.Default != "0" && k.Default != "0s":
		return k.Default
	case t == reflect.TypeFor[time.Duration]():
		return "24h"
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		return "100"
	case strings.HasSuffix(k.Name, "_DIR"), strings.HasSuffix(k.Name, "_FILE"), strings.Contains(k.Name, "CERT"), strings.HasSuffix(k.Name, "_CA"), strings.HasSuffix(k.Name, "_KEY"), strings.HasSuffix(k.Name, "CA_FILE"):
		return "/etc/portcullis/" + strings.ReplaceAll(strings.ToLower(k.Name), "_", "-")
	case strings.HasSuffix(k.Name, "_URL"), strings.HasSuffix(k.Name, "_ENDPOINT"), strings.HasSuffix(k.Name, "_DOCS"), strings.HasSuffix(k.Name, "_ISSUER"):
		return "https://id.example.com/" + strings.ToLower(k.Name[strings.LastIndexByte(k.Name, '_')+1:])
	}
	if t.Kind() == reflect.Slice {
		return "first,second"
	}
	return "..."
}

// examples are those that nothing else says.
var examples = map[string]string{
	"POLICY_CANARY": "5%",
	"VAULT_CALLERS": "child", "AUDIT_ANCHORS": "vault:secret/evidence", "AUDIT_SIGN_TRANSIT_KEY": "transit/evidence", "OIDC_ISSUER": "https://gateway.example.com",
	"HOST": "0.0.0.0", "ADMIN_ADDR": "127.0.0.1:9089", "AUDIT_FILE": "/var/lib/portcullis/audit.jsonl", "AUDIT_SYNC": "group", "LOG_REQUESTS": "all", "REDIS_URL": "rediss://gateway:password@redis.example.com:6379", "FIRM_STORE": "vault:secret/portcullis/state", "STATE_DIR": "/var/lib/portcullis/state",
	"AUDIT_SINKS": "syslog+tls://siem.example.com:6514#format=cef,https://collector.example.com/ingest", "LOG_LEVEL": "debug",
	"VAULT_ADDR": "https://vault.example.com:8200", "VAULT_NAMESPACE": "team", "VAULT_AUDIT_TAP": "file:/var/log/vault/audit.log",
	"VAULT_TOKEN": "hvs.…", "VAULT_ROLE_ID": "3f2b…", "VAULT_SECRET_ID": "9c1d…", "VAULT_SECRET_ID_ROTATION": "24h", "VAULT_AUTH_ROLE": "portcullis", "VAULT_AUTH_MOUNT": "kubernetes",
	"VAULT_TLS_SERVER_NAME": "vault.internal", "VAULT_CLUSTER_ADDRS": "https://vault-1:8200,https://vault-2:8200", "READ_CACHE_TTL": "2s",
	"API_KEYS_JSON": `{"dev-api-key":"agent_api"}`, "PUBLIC_URL": "https://gateway.example.com", "JWT_HS256_SECRET": "at least 32 bytes",
	"JWT_SPIFFE_PATH": "/ns/prod/sa", "JWT_TENANT_CLAIM": "org", "JWT_KIND_CLAIM": "kind", "JWT_TRUST_DOMAINS": "example.org=prod",
	"JWT_DEFAULT_SCOPES": "read,list", "JWT_CLAIMS_TO_POLICY": "amr,roles=/realm_access/roles", "ISSUERS": `[{"issuer":["https://id.example.com"]}]`,
	"SUBJECT_BINDING": "shared", "MTLS_SPIFFE_PATH": "/ns/prod/sa", "MTLS_TRUST_DOMAINS": "example.org", "TLS_CLIENT_AUTH": "require",
	"TRUSTED_PROXIES": "10.0.0.0/8,192.0.2.7/32", "ALLOWED_HOSTS": "gateway.example.com,*.agents.example.com", "CORS_ALLOW_ORIGINS": "https://app.example.com",
	"MCP_TOOLSETS": "kv,transit", "MCP_TOOL_NAMES": "dotted", "OAUTH_RESOURCE_INDICATOR": "https://gateway.example.com/mcp", "POLICY_KEY_ID": "release-2026",
	"DECISION_LOG_KEY": "a long random text", "BUDGETS": "streams=256/0/16000,bytes=32MiB/4MiB/1GiB", "WASM_MANIFEST": "/etc/portcullis/wasm.yaml",
	"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20…", "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
	"OTEL_TRACES_SAMPLER_ARG": "0.01", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=prod", "POLICY_LAST_GOOD": "/var/lib/portcullis/policy.last-good",
	"KV_MOUNTS": "secret,team/kv", "TRANSIT_MOUNTS": "transit,team/transit", "DATABASE_MOUNTS": "database,team/db", "SSH_MOUNTS": "ssh,team/ssh",
	"MOUNTS":       `[{"engine":"kv","path":"team/kv"}]`,
	"DECISION_LOG": "/var/log/portcullis/decisions.jsonl",
}

// Markdown is the page of all settings.
func Markdown() ([]byte, error) {
	keys, err := Keys()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("# Configuration\n\nGenerated from gateway/config by `portcullis config docs`. Every key is an environment variable, or in any case a key of a\n" +
		"TOML, YAML or JSON file; the environment wins, and an empty variable counts as unset. `portcullis config example` is a\nfile with all of them, `portcullis config print` shows what is in force.\n")
	section := "\x00"
	for _, k := range keys {
		if k.Section != section {
			section = k.Section
			fmt.Fprintf(&b, "\n## %s\n\n| key | type | default | example | |\n|---|---|---|---|---|\n", section)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` | %s |\n", k.Name, k.Type, code(k.Default), cell(k.Example), cell(k.Meaning))
	}
	return []byte(b.String()), nil
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cell(s) + "`"
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

// ExampleFile is a TOML file with every key, as a comment with its example.
func ExampleFile() ([]byte, error) {
	keys, err := Keys()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("# portcullis.toml: every key, commented out. What is not set has its default.\n")
	section := "\x00"
	for _, k := range keys {
		if k.Section != section {
			section = k.Section
			fmt.Fprintf(&b, "\n# %s\n", section)
		}
		fmt.Fprintf(&b, "\n# %s (%s; default: %s)\n# %s = %q\n", k.Meaning, k.Type, k.Default, strings.ToLower(k.Name), k.Example)
	}
	return []byte(b.String()), nil
}

// meanings are those of keys whose names nearly say it.
var meanings = map[string]string{
	"AUDIT_ANCHOR_INTERVAL": "the time between two anchors", "VAULT_ADDR": "address of Vault", "VAULT_NAMESPACE": "namespace of Vault Enterprise", "VAULT_TOKEN": "a token of the gateway's own",
	"VAULT_CACERT": "PEM of the authority of Vault's certificate", "VAULT_CLIENT_CERT": "PEM of the gateway's certificate for Vault", "VAULT_CLIENT_KEY": "and its private key",
	"VAULT_TLS_SERVER_NAME": "name in Vault's certificate, when VAULT_ADDR has another", "VAULT_SKIP_VERIFY": "Vault's certificate is not checked; for tests alone",
	"TRANSIT_MOUNT": "mount of the transit engine", "DATABASE_MOUNT": "mount of the database engine", "SSH_MOUNT": "mount of the SSH engine",
	"TRANSIT_MOUNTS": "several mounts of the transit engine, the default one first", "DATABASE_MOUNTS": "several mounts of the database engine", "SSH_MOUNTS": "several mounts of the SSH engine",
	"CHILD_TOKEN_ENABLED": "each caller has a Vault token of its own, with no more rights than the policy grants", "CHILD_TOKEN_TTL": "life of such a token", "CHILD_TOKEN_POLICY_PREFIX": "beginning of the names of callers' Vault policies",
	"AUTH_API_KEY_ENABLED": "API keys are accepted", "AUTH_FAILURES_PER_MINUTE": "bad credentials of one address before they are told to wait",
	"AUTH_JWT_ENABLED": "tokens are accepted", "JWT_JWKS_URL": "where the keys of the issuer are fetched", "JWT_JWKS_FILE": "file with the keys of the issuer",
	"JWT_JWKS_CACHE_SECONDS": "how long fetched keys stand", "JWT_REQUIRE_KID": "a token must name its key", "JWT_VALIDATE_ISSUER": "iss must be one of JWT_ISSUER", "JWT_VALIDATE_AUDIENCE": "aud must have one of JWT_AUDIENCE",
	"JWT_CLOCK_SKEW_SECONDS": "how far clocks may differ", "JWT_SUBJECT_CLAIM": "claim, dotted path, JSON pointer or template that is the subject", "JWT_TENANT_CLAIM": "claim that is the tenant",
	"JWT_ROLES_CLAIM": "claim with the roles", "JWT_KIND_CLAIM": "claim with the kind: agent, human or service", "JWT_SCOPE_CLAIMS": "claims with the scopes",
	"MTLS_IDENTITY_HEADER": "header of a trusted proxy with the name in the certificate", "MTLS_VERIFY_HEADER": "header of a trusted proxy that says that it was verified", "MTLS_SUBJECT_CN_PREFIX": "attribute of that name that is the subject",
	"MTLS_SPIFFE_PATH": "what stands between trust domain and last segment", "MTLS_TRUST_DOMAINS": "domains of SPIFFE ids, or domain=tenant", "MTLS_SCOPES": "scopes of certificates", "MTLS_KIND": "kind of callers with certificates: agent, human or service",
	"TLS_CERT_FILE": "PEM chain of the listener; without one it speaks HTTP", "TLS_KEY_FILE": "and its private key", "TLS_CLIENT_CA_FILE": "PEM of the authorities of client certificates", "TLS_CRL_FILE": "revocation lists of them",
	"TRUSTED_PROXIES": "proxies whose X-Forwarded-For is believed", "CORS_ALLOW_ORIGINS": "origins of browsers that may call", "EXPOSE_REST_ROUTES": "the REST routes are served", "SSE_KEEPALIVE_SECONDS": "how often a silent stream gets a comment",
	"MCP_RPC_COMPAT": "/mcp/rpc has the shapes of the service that this one replaces",
	"OAUTH_ISSUER":   "authorization server that clients are told of", "OAUTH_AUTHORIZATION_ENDPOINT": "its authorization endpoint", "OAUTH_TOKEN_ENDPOINT": "its token endpoint", "OAUTH_JWKS_URL": "its keys",
	"OAUTH_RESOURCE_INDICATOR": "name of this resource (RFC 8707)", "OAUTH_RESOURCE_DOCS": "page for people",
	"POLICY_DIR": "your data and team policies, on top of the embedded bundle", "POLICY_TIMEOUT": "of one decision; over it the call is refused (503)", "RATE_LIMIT_ENABLED": "calls are limited by tier",
	"WASM_MANIFEST": "manifest of WASM transforms; without one there is no WASM runtime", "OTEL_SERVICE_NAME": "service.name of traces",
}
