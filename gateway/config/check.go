package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
)

// check returns every problem of the values, and completes what follows from others.
func (c *Config) check() []error {
	if c.AuditFile == "" {
		c.AuditFile = filepath.Join(c.LogDir, "audit.jsonl")
		if c.LogDir == "-" {
			c.AuditFile = "audit.jsonl"
		}
	}
	if c.AuditSpoolDir == "" {
		c.AuditSpoolDir = filepath.Join(filepath.Dir(c.AuditFile), "audit.spool")
	}
	if c.StateDir == "" && c.LogDir != "-" {
		c.StateDir = filepath.Join(c.LogDir, "state")
	}
	switch {
	case c.DecisionLog == "off", c.DecisionLog == "" && c.LogDir == "-":
		c.DecisionLog = ""
	case c.DecisionLog == "":
		c.DecisionLog = filepath.Join(c.LogDir, "decisions.jsonl")
	}
	p := problems{}
	c.checkHost(&p)
	c.checkProcess(&p)
	c.checkVault(&p)
	c.checkCallers(&p)
	c.checkEdge(&p)
	c.checkNumbers(&p)
	c.refuse(&p)
	return p.errs
}

type problems struct{ errs []error }

// unless notes a problem unless ok.
func (p *problems) unless(ok bool, format string, args ...any) {
	if !ok {
		p.errs = append(p.errs, fmt.Errorf(format, args...))
	}
}

// about reports whether a problem of a key is noted.
func (p *problems) about(key string) bool {
	return slices.ContainsFunc(p.errs, func(err error) bool { return strings.HasPrefix(err.Error(), key+":") })
}

func (p *problems) oneOf(key, v string, allowed ...string) {
	p.unless(slices.Contains(allowed, v), "%s: must be one of %v", key, allowed)
}

func (p *problems) url(key, v string) {
	if v == "" {
		return
	}
	u, err := url.Parse(v)
	p.unless(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", "%s: not an http or https URL", key)
}

// base is a URL to which paths are added.
func (p *problems) base(key, v string) {
	p.url(key, v)
	p.unless(!strings.ContainsAny(v, "?#"), "%s: a query or fragment has no meaning there", key)
}

func (p *problems) name(key, v string) {
	_, err := call.ParseName(v)
	p.unless(err == nil, "%s: not one safe path segment", key)
}

// checkHost takes an address or a name that this machine knows. What it cannot
// take is replaced by the default for the checks that follow: whether the listener
// is on loopback decides others, and theirs would be the wrong message.
func (c *Config) checkHost(p *problems) {
	host := strings.TrimSuffix(strings.TrimPrefix(c.Host, "["), "]")
	_, err := netip.ParseAddr(host)
	switch {
	case err == nil, host == "localhost":
		c.Host = host
		return
	case hasPort(c.Host):
		p.unless(false, "HOST: %q has a port; put the port into PORT", c.Host)
	case !resolves(host):
		p.unless(false, "HOST: %q is no address, and no name that this machine can resolve; some shells set HOST to the machine's name: set it to the address to listen on, 127.0.0.1 for this machine alone", c.Host)
	default:
		return
	}
	c.Host = Default().Host
}

func hasPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

// resolveTimeout bounds the look-up of HOST.
const resolveTimeout = 2 * time.Second

func resolves(host string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	return err == nil && len(addrs) > 0
}

func (c *Config) checkProcess(p *problems) {
	p.unless(c.Port >= 0 && c.Port <= 65535, "PORT: not a port number")
	var l slog.Level
	p.unless(l.UnmarshalText([]byte(c.LogLevel)) == nil, "LOG_LEVEL: must be debug, info, warn or error")
	p.oneOf("LOG_REQUESTS", c.LogRequests, "other", "all")
	p.unless(c.LogMaxBytes >= 64<<10, "LOG_MAX_BYTES: less than 65536")
	p.unless(c.LogMaxAge == 0 || c.LogMaxAge >= time.Second, "LOG_MAX_AGE: less than a second; 0 is for no bound")
	p.unless(c.LogKeep >= 0, "LOG_KEEP: must not be negative; 0 is for all")
	p.oneOf("AUDIT_SYNC", c.AuditSync, "off", "group")
	p.unless(c.AuditMaxBytes == 0 || c.AuditMaxBytes >= 64<<10, "AUDIT_MAX_BYTES: less than 65536; 0 is for no bound")
	p.unless(c.AuditMaxAge == 0 || c.AuditMaxAge >= time.Second, "AUDIT_MAX_AGE: less than a second; 0 is for no bound")
	c.checkAnchors(p)
	c.checkSigningKey(p)
	p.unless(c.AuditKeep >= 0, "AUDIT_KEEP: must not be negative; 0 is for all")
	p.unless(c.AuditSpoolBytes >= 0, "AUDIT_SPOOL_BYTES: must not be negative; 0 is for no spool")
	p.unless((c.AuditSinkCert == "") == (c.AuditSinkKey == ""), "AUDIT_SINK_CERT and AUDIT_SINK_KEY: both or neither must be set")
	p.unless(c.AuditFile != "-" || !slices.ContainsFunc(c.AuditSinks, toStdout), "AUDIT_SINKS: AUDIT_FILE=- writes to standard output already; remove stdout")
	p.unless(c.DecisionBytes == 0 || c.DecisionBytes >= 64<<10, "DECISION_LOG_MAX_BYTES: less than 65536; 0 is for no bound")
	p.unless(c.DecisionKeep >= 0, "DECISION_LOG_KEEP: must not be negative; 0 is for all")
	p.unless(c.MaxBodyBytes >= 1024 && c.MaxBodyBytes <= mostBody, "MAX_BODY_BYTES: from 1024 to %d", mostBody)
	p.unless(c.ShutdownDelay >= 0 && c.ShutdownDelay <= 10*time.Minute, "SHUTDOWN_DELAY: from 0s to 10m")
	p.unless(c.ShutdownTimeout > 0, "SHUTDOWN_TIMEOUT: must be positive")
	c.checkRedis(p)
	c.checkFirmStore(p)
	p.oneOf("POLICY_KEY_ALGORITHM", c.PolicyKeyAlg, "ES256", "EdDSA", "RS256")
	p.unless((c.PolicyKeyID == "") == (c.PolicyKeyFile == ""), "POLICY_KEY_ID and POLICY_KEY_FILE: both or neither must be set")
	c.checkPolicyURL(p)
	c.checkCanary(p)
	p.unless(c.PolicyTimeout > 0, "POLICY_TIMEOUT: must be positive")
	p.unless(c.PolicyStale > 0, "POLICY_MAX_STALE: must be positive")
	p.base("OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPEndpoint)
	p.unless(c.RateRequests > 0, "RATE_LIMIT_REQUESTS: must be positive")
	p.unless(c.RateWindow > 0, "RATE_LIMIT_WINDOW_SECONDS: must be positive")
	if c.RateSet && c.RateEnabled {
		c.Warnings = append(c.Warnings, fmt.Sprintf("RATE_LIMIT_REQUESTS or RATE_LIMIT_WINDOW_SECONDS is set: callers of the tier standard have %d calls in %d s, whatever the policy's data say", c.RateRequests, c.RateWindow))
	}
	c.checkBudgets(p)
	if c.AdminAddr != "" {
		_, _, err := net.SplitHostPort(c.AdminAddr)
		p.unless(err == nil, "ADMIN_ADDR: not host:port")
	}
}

// checkRedis leaves the address to the store, which knows its forms.
func (c *Config) checkRedis(p *problems) {
	p.unless((c.RedisCert == "") == (c.RedisKey == ""), "REDIS_CERT and REDIS_KEY: both or neither must be set")
	p.unless(c.RedisPrefix != "" && !strings.ContainsAny(c.RedisPrefix, "{} \t"), "REDIS_PREFIX: must be a word without braces")
}

// FirmPlace is the mount and the path of FIRM_STORE in Vault; both are empty for a file.
func (c *Config) FirmPlace() (mount, path string) {
	place, _ := strings.CutPrefix(c.FirmStore, "vault:")
	if place == c.FirmStore {
		return "", ""
	}
	mount, path, _ = strings.Cut(place, "/")
	return mount, path
}

func (c *Config) checkFirmStore(p *problems) {
	mount, path := c.FirmPlace()
	parsed, err := call.ParsePath(path)
	p.unless(c.FirmStore == "file" || mount != "" && err == nil && parsed.String() != "", "FIRM_STORE: must be file, or vault:MOUNT/PATH, as vault:secret/portcullis/state")
}

// checkBudgets reads BUDGETS. One body of the largest size must always fit.
func (c *Config) checkBudgets(p *problems) {
	p.unless(c.MaxConns >= 0 && c.MaxConnsEach >= 0, "MAX_CONNECTIONS and MAX_CONNECTIONS_PER_ADDRESS: must not be negative")
	p.unless(c.AuditMinFree >= 0, "AUDIT_MIN_FREE_BYTES: must not be negative")
	var err error
	c.Limits, err = budget.Defaults().Parse(c.Budgets)
	p.unless(err == nil, "BUDGETS: %w", err)
	b := &c.Limits[budget.Bytes]
	for _, share := range []*int64{&b.Caller, &b.Address, &b.All} {
		if *share > 0 {
			*share = max(*share, c.MaxBodyBytes)
		}
	}
}

// checkCanary reads the share of the callers for whom the candidate decides.
func (c *Config) checkCanary(p *problems) {
	if c.PolicyCanary == "" {
		return
	}
	text, percent := strings.CutSuffix(c.PolicyCanary, "%")
	var err error
	c.CanaryPercent, err = strconv.ParseFloat(text, 64)
	fits := err == nil && percent && c.CanaryPercent >= 0 && c.CanaryPercent <= 100 // not NaN either
	p.unless(fits, "POLICY_CANARY: want a share of the callers from 0%% to 100%%, as 5%%")
	if !fits {
		c.CanaryPercent = 0
	}
	p.unless(c.PolicyShadow != "", "POLICY_CANARY: needs POLICY_SHADOW_DIR, which holds the candidate that is to decide")
}

// checkPolicyURL wants a bundle service to be the only source, and to give signed archives.
func (c *Config) checkPolicyURL(p *problems) {
	p.unless((c.PolicyCert == "") == (c.PolicyCertKey == ""), "POLICY_URL_CERT and POLICY_URL_KEY: both or neither must be set")
	p.unless(c.PolicyEvery >= time.Second, "POLICY_URL_INTERVAL: less than 1s")
	if c.PolicyURL == "" {
		return
	}
	p.url("POLICY_URL", c.PolicyURL)
	p.unless(c.PolicyDir == "", "POLICY_URL and POLICY_DIR: only one of them can be where the policy comes from")
	p.unless(c.PolicyKeyID != "", "POLICY_URL: needs POLICY_KEY_ID and POLICY_KEY_FILE, because only signed archives are taken from a service")
}

func (c *Config) checkVault(p *problems) {
	p.base("VAULT_ADDR", c.VaultAddr)
	p.unless(c.VaultTimeout > 0, "VAULT_TIMEOUT: must be positive")
	p.unless(c.VaultRequests >= 4, "VAULT_MAX_REQUESTS: less than 4")
	p.unless(c.ChildTokenTTL >= 10*time.Second, "CHILD_TOKEN_TTL: less than 10s")
	c.checkVaultCallers(p)
	p.name("CHILD_TOKEN_ROLE", c.ChildTokenRole)
	p.name("LEASE_TOKEN_ROLE", c.LeaseTokenRole)
	p.unless(c.LeaseMax > 0, "LEASES_PER_CALLER: must be positive")
	p.unless(c.LeaseIdle > 0, "LEASE_IDLE_TIMEOUT: must be positive")
	p.unless(c.ReadCacheTTL >= 0 && c.ReadCacheTTL <= time.Minute, "READ_CACHE_TTL: not between 0 and 60s")
	c.checkVaultLogin(p)
	p.unless((c.VaultClientCert == "") == (c.VaultClientKey == ""), "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY: both or neither must be set")
	p.unless(isTap(c.VaultAuditTap), "VAULT_AUDIT_TAP: must be file:PATH, unix:PATH or tcp:HOST:PORT with a loopback address, as anybody who reaches it could make events up")
	p.unless(c.VaultAuditTap == "" || !c.VaultEvents, "VAULT_AUDIT_TAP and VAULT_EVENTS: only one may be set")
	c.checkMounts(p)
	for _, node := range c.VaultNodes {
		p.base("VAULT_CLUSTER_ADDRS", node)
		p.unless(strings.HasPrefix(node, "https:") || !strings.HasPrefix(c.VaultAddr, "https:"), "VAULT_CLUSTER_ADDRS: not https as VAULT_ADDR is; a token never goes from https to http")
	}
	_, err := call.ParsePlain(c.DefaultPrefix)
	p.unless(err == nil, "DEFAULT_PREFIX: not a clean path")
}

func isTap(v string) bool {
	kind, where, _ := strings.Cut(v, ":")
	switch kind {
	case "file", "unix":
		return where != ""
	case "tcp":
		a, err := netip.ParseAddrPort(where)
		return err == nil && a.Addr().IsLoopback()
	}
	return v == ""
}

// checkVaultCallers makes CHILD_TOKEN_ENABLED and VAULT_CALLERS say the same.
func (c *Config) checkVaultCallers(p *problems) {
	if c.VaultCallers == "" {
		c.VaultCallers = "gateway"
		if c.ChildTokenEnabled {
			c.VaultCallers = "child"
		}
	}
	p.oneOf("VAULT_CALLERS", c.VaultCallers, "gateway", "child", "jwt")
	p.unless(!c.ChildTokenEnabled || c.VaultCallers != "gateway", "VAULT_CALLERS and CHILD_TOKEN_ENABLED: the one says gateway, the other child tokens")
	c.ChildTokenEnabled = c.VaultCallers == "child"
	if c.OIDCIssuer == "" {
		c.OIDCIssuer = c.PublicURL
	}
	c.OIDCIssuer = strings.TrimSuffix(c.OIDCIssuer, "/")
	if c.VaultCallers != "jwt" {
		return
	}
	p.base("OIDC_ISSUER", c.OIDCIssuer)
	p.unless(c.OIDCIssuer != "", "OIDC_ISSUER: needed when VAULT_CALLERS is jwt, unless PUBLIC_URL is set: the URL by which Vault knows the gateway")
	_, err := call.ParsePlain(c.OIDCMount)
	p.unless(err == nil, "OIDC_VAULT_MOUNT: not a clean path")
	own := c.VaultToken == "" && c.VaultTokenFile == "" && c.VaultRoleID == "" && c.VaultAuthRole == ""
	p.unless(c.offline || own, "VAULT_CALLERS: with jwt the gateway logs in with a word of its own; leave VAULT_TOKEN, VAULT_ROLE_ID and VAULT_AUTH_ROLE unset")
}

func (c *Config) checkVaultLogin(p *problems) {
	secretID := c.VaultSecretID != "" || c.VaultSecretIDFile != ""
	p.unless(c.VaultSecretID == "" || c.VaultSecretIDFile == "", "VAULT_SECRET_ID and VAULT_SECRET_ID_FILE: only one may be set")
	p.unless((c.VaultRoleID == "") == !secretID, "VAULT_ROLE_ID and VAULT_SECRET_ID: both or neither must be set")
	p.unless(c.VaultSecretIDRotation < time.Second || c.VaultSecretIDFile != "" && !c.VaultSecretIDWrapped,
		"VAULT_SECRET_ID_ROTATION: the new secret id is written into VAULT_SECRET_ID_FILE, which must be set, writable and not wrapped")
	p.unless(c.VaultSecretIDRotation == 0 || c.VaultSecretIDRotation >= time.Second, "VAULT_SECRET_ID_ROTATION: at least 1s, 0 for never")
	p.unless((c.VaultAuthRole == "") == (c.VaultAuthJWTFile == ""), "VAULT_AUTH_ROLE and VAULT_AUTH_JWT_FILE: both or neither must be set")
	p.unless(c.VaultRoleID == "" || c.VaultAuthRole == "", "VAULT_ROLE_ID and VAULT_AUTH_ROLE: only one may be set")
	p.unless(c.offline || c.VaultToken != "" || c.VaultTokenFile != "" || c.VaultRoleID != "" || c.VaultAuthRole != "" || c.VaultCallers == "jwt",
		"VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID: the gateway has no Vault credential")
	if c.VaultAuthMount != "" {
		_, err := call.ParsePlain(c.VaultAuthMount)
		p.unless(err == nil, "VAULT_AUTH_MOUNT: not a clean path")
	}
}

func (c *Config) checkCallers(p *problems) {
	p.oneOf("SUBJECT_BINDING", c.SubjectBinding, "bound", "shared")
	c.JWTDefaultScopes = words(c.JWTDefaultScopes)
	c.checkIssuers(p)
	p.unless(c.JWKSCacheSeconds >= 30, "JWT_JWKS_CACHE_SECONDS: less than 30")
	p.url("JWT_JWKS_URL", c.JWKSURL)
	p.base("PUBLIC_URL", c.PublicURL)
	p.unless(c.AuthFailures > 0, "AUTH_FAILURES_PER_MINUTE: must be positive")
	p.unless(c.JWTSkewSeconds >= 0 && c.JWTSkewSeconds <= 300, "JWT_CLOCK_SKEW_SECONDS: not between 0 and 300")
	p.oneOf("JWT_SUBJECT_FORMAT", c.JWTSubjectFormat, "plain", "spiffe")
	p.oneOf("MTLS_SUBJECT_FROM", c.MTLSSubjectFrom, "cn", "dns", "spiffe")
	p.oneOf("MTLS_KIND", c.MTLSKind, "agent", "human", "service")
	jwt := c.JWTEnabled && (c.JWTSecret != "" || c.plainKeys() || len(c.Issuers) > 0)
	keys := c.APIKeyEnabled && (c.APIKeysJSON != "" || c.APIKeysFile != "")
	if !jwt && !keys && !c.MTLSEnabled && c.TLSClientAuth == "off" {
		c.Warnings = append(c.Warnings, "no API key, JWT key or client CA is configured: every caller will be refused")
	}
}

func (c *Config) checkEdge(p *problems) {
	p.unless((c.TLSCertFile == "") == (c.TLSKeyFile == ""), "TLS_CERT_FILE and TLS_KEY_FILE: both or neither must be set")
	p.oneOf("TLS_CLIENT_AUTH", c.TLSClientAuth, "off", "request", "require")
	p.unless(c.TLSClientAuth == "off" || c.TLSClientCAFile != "", "TLS_CLIENT_CA_FILE: needed when TLS_CLIENT_AUTH is %s", c.TLSClientAuth)
	p.unless(c.TLSClientAuth == "off" || c.TLSCertFile != "", "TLS_CERT_FILE: needed when TLS_CLIENT_AUTH is %s", c.TLSClientAuth)
	p.oneOf("MCP_TOOL_NAMES", c.MCPToolNames, "underscore", "dotted", "auto") // auto was the default once
	p.unless(c.SSEKeepAlive > 0, "SSE_KEEPALIVE_SECONDS: must be positive")
	for i, o := range c.CORSOrigins {
		origin, err := parseOrigin(o)
		p.unless(err == nil, "CORS_ALLOW_ORIGINS: %q: %v", o, err)
		c.CORSOrigins[i] = origin
	}
	c.checkNames(p)
}

// parseOrigin is an origin as browsers send it (RFC 6454, section 6.2): scheme, host
// in small letters, and the port unless it is the scheme's own. A slash at the end
// is forgiven, a path is not: an origin has none.
func parseOrigin(s string) (string, error) {
	if s == "*" {
		return "", errors.New("\"*\" is not an allow-list")
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("not an origin such as https://app.example.com")
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", errors.New("an origin is scheme, host and port alone, without a path")
	}
	if strings.Contains(u.Host, "*") {
		return "", errors.New("wildcards are not supported: list each origin")
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host, nil
}

// Listen is the address to listen on.
func (c *Config) Listen() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// Loopback reports whether only this machine can reach the listener.
func (c *Config) Loopback() bool { return loopback(c.Host) }

// AdminLoopback is Loopback for the administrators' listener.
func (c *Config) AdminLoopback() bool {
	host, _, err := net.SplitHostPort(c.AdminAddr)
	return err == nil && loopback(host)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
