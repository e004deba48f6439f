package server

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/auth"
	"portcullis/gateway/auth/cert"
	"portcullis/gateway/auth/token"
	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/files"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/remote"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vault/leases"
)

// This file maps the configuration to what each part wants to know.

func vaultConfig(c config.Config, log *slog.Logger) vault.Config {
	registry, _ := call.ParsePath(strings.TrimPrefix(c.DefaultPrefix+"/.leases", "/")) // no subject begins with a dot
	return vault.Config{
		Registry: leases.Location{Mount: c.KVMount, Path: registry},
		Addr:     c.VaultAddr, Namespace: c.VaultNamespace, Timeout: c.VaultTimeout,
		CACert: c.VaultCACert, ClientCert: c.VaultClientCert, ClientKey: c.VaultClientKey,
		ServerName: c.VaultServerName, SkipVerify: c.VaultSkipVerify,
		Login: vault.Login{
			Token: c.VaultToken, TokenFile: c.VaultTokenFile,
			RoleID: c.VaultRoleID, SecretID: c.VaultSecretID, SecretIDFile: c.VaultSecretIDFile, SecretIDWrapped: c.VaultSecretIDWrapped, Rotate: c.VaultSecretIDRotation,
			Role: c.VaultAuthRole, JWTFile: c.VaultAuthJWTFile, Mount: c.VaultAuthMount,
		},
		Nodes: c.VaultNodes, Mounts: mounts(c), Proxy: http.ProxyFromEnvironment,
		Load: vault.Load{Total: c.VaultRequests}, Log: log,
		Children: callers.Config{
			Enabled: c.ChildTokenEnabled, TTL: c.ChildTokenTTL, PolicyPrefix: c.ChildTokenPolicyPrefix,
			Role: c.ChildTokenRole, LeaseRole: c.LeaseTokenRole,
		},
		CacheTTL: c.ReadCacheTTL,
		Janitor:  leases.Rules{Max: c.LeaseMax, Renew: c.LeaseRenew, Idle: c.LeaseIdle},
	}
}

// Mounts are where the engines are in Vault.
func Mounts(c config.Config) ops.Mounts {
	m := ops.Mounts{KV: c.KVMount, Transit: c.TransitMount, Database: c.DatabaseMount, SSH: c.SSHMount, PKI: c.PKIMount, TOTP: c.TOTPMount, Creds: c.CredsMount, Wrapping: true, More: map[string][]op.Mount{}}
	for engine, more := range c.More {
		for _, one := range more {
			m.More[engine] = append(m.More[engine], op.Mount{Path: one.Path, Version: one.Version, Prefix: one.Prefix})
		}
	}
	return m
}

// find has the versions of KV engines that the configuration leaves open found out.
func (g *Server) find(m ops.Mounts) ops.Mounts {
	for i := range m.More["kv"] {
		path := m.More["kv"][i].Path
		m.More["kv"][i].Found = func() int { return g.vault.KVVersion(path) }
	}
	return m
}

// mounts are the same, to be verified.
func mounts(c config.Config) []vault.Mount {
	list := []vault.Mount{
		{Path: c.KVMount, Type: "kv", Setting: "KV_MOUNT", Required: true},
		{Path: c.TransitMount, Type: "transit", Setting: "TRANSIT_MOUNT"},
		{Path: c.DatabaseMount, Type: "database", Setting: "DATABASE_MOUNT"},
		{Path: c.SSHMount, Type: "ssh", Setting: "SSH_MOUNT"},
		{Path: c.PKIMount, Type: "pki", Setting: "PKI_MOUNTS", Quiet: len(c.PKIMounts) == 0},
		{Path: c.TOTPMount, Type: "totp", Setting: "TOTP_MOUNTS", Quiet: len(c.TOTPMounts) == 0},
	}
	if c.CredsMount != "" {
		list = append(list, vault.Mount{Path: c.CredsMount, Setting: "CREDS_MOUNTS"})
	}
	for _, engine := range slices.Sorted(maps.Keys(c.More)) {
		for _, m := range c.More[engine] {
			kind := m.Engine
			if kind == "creds" {
				kind = ""
			}
			list = append(list, vault.Mount{Path: m.Path, Type: kind, Setting: strings.ToUpper(m.Engine) + "_MOUNTS", Version: m.Version})
		}
	}
	return list
}

// PolicyConfig is what the decision point is configured with.
func PolicyConfig(c config.Config, o *op.Catalogue, log *slog.Logger) policy.Config {
	keys, err := PolicyKeys(c.PolicyKeyID, c.PolicyKeyFile, c.PolicyKeyAlg)
	if err != nil {
		log.Error("the policy's key cannot be read: no archive will be accepted", "cause", err)
	}
	requests, window := 0, time.Duration(0) // the data hold
	if c.RateSet {
		requests, window = c.RateRequests, time.Duration(c.RateWindow)*time.Second
	}
	return policy.Config{
		Dir: c.PolicyDir, Keys: keys, Timeout: c.PolicyTimeout, Catalogue: o, Logger: log,
		Remote: remote.Config{
			URL: c.PolicyURL, TokenFile: c.PolicyToken, CA: c.PolicyCA, Cert: c.PolicyCert, Key: c.PolicyCertKey, Keys: keys,
			Wait: c.PolicyEvery,
		}, Interval: c.PolicyEvery,
		Shadow: c.PolicyShadow, Canary: c.CanaryPercent, LastGood: c.PolicyBackup, MaxStale: c.PolicyStale, SignedRemovals: c.PolicySigned,
		LogFile: c.DecisionLog, LogKey: []byte(c.DecisionKey.Reveal()), LogMaxBytes: c.DecisionBytes, LogKeep: c.DecisionKeep,
		StandardRequests: requests, StandardWindow: window,
	}
}

// BasePrefix is the path below which callers have their own.
func BasePrefix(c config.Config) call.Path {
	prefix, _ := call.ParsePath(c.DefaultPrefix) // the configuration has been checked; empty for the whole mount
	return prefix
}

func authConfig(c config.Config, log *slog.Logger) auth.Config {
	return auth.Config{
		DefaultPrefix: BasePrefix(c), Loopback: c.Loopback(), PublicURL: c.PublicURL, TrustedProxies: c.TrustedProxies,
		DenyListFile: c.DenyListFile, FailuresPerMinute: c.AuthFailures, Log: log,
		SharedSubjects: c.SubjectBinding == "shared",
		APIKeys:        auth.APIKeys{Enabled: c.APIKeyEnabled, JSON: c.APIKeysJSON, File: c.APIKeysFile},
		JWT:            jwtConfig(c),
		TLS: cert.Listener{
			CertFile: c.TLSCertFile, KeyFile: c.TLSKeyFile, ClientCAFile: c.TLSClientCAFile,
			ClientAuth: c.TLSClientAuth, CRLFile: c.TLSCRLFile,
		},
		MTLS: auth.MTLS{
			Headers: c.MTLSEnabled, IdentityHeader: c.MTLSHeader, VerifyHeader: c.MTLSVerifyHeader, CNPrefix: c.MTLSCNPrefix,
			SubjectFrom: c.MTLSSubjectFrom, SPIFFEPath: c.MTLSSPIFFEPath, TrustDomains: c.MTLSTrustDomains,
			Scopes: c.MTLSScopes, Kind: c.MTLSKind,
		},
		OAuth: auth.OAuth{
			Issuer: c.OAuthIssuer, AuthorizationEndpoint: c.OAuthAuthorization, TokenEndpoint: c.OAuthToken,
			JWKSURL: c.OAuthJWKS, Resource: c.OAuthResource, Docs: c.OAuthDocs,
		},
	}
}

// Overlaps says which issuers can name the same subject, for config check; at the
// start the log says it.
func Overlaps(c config.Config) []string {
	return auth.Overlaps(authConfig(c, slog.New(slog.DiscardHandler)))
}

func jwtConfig(c config.Config) auth.JWT {
	return auth.JWT{
		Enabled: c.JWTEnabled, Secret: c.JWTSecret, JWKSFile: c.JWKSFile, JWKSURL: c.JWKSURL, Discovery: c.JWTDiscovery,
		CacheFor: time.Duration(c.JWKSCacheSeconds) * time.Second, StaleFor: time.Duration(c.JWKSStaleSeconds) * time.Second,
		RequireKID: c.JWTRequireKID, Issuers: c.JWTIssuer, Audiences: c.JWTAudience,
		AnyIssuer: !c.JWTCheckIssuer, AnyAudience: !c.JWTCheckAudience,
		ClockSkew: time.Duration(c.JWTSkewSeconds) * time.Second, TrustDomains: c.JWTTrustDomains,
		Claims: token.Claims{
			Subject: c.JWTSubjectClaim, SPIFFE: c.JWTSubjectFormat == "spiffe", Under: c.JWTSPIFFEPath, Tenant: c.JWTTenantClaim,
			Roles: c.JWTRolesClaim, Kind: c.JWTKindClaim, Scopes: c.JWTScopeClaims,
			Pass: c.JWTClaimsToPolicy, DefaultScopes: c.JWTDefaultScopes,
		},
		More: moreIssuers(c.Issuers),
	}
}

func moreIssuers(entries []config.Issuer) (out []auth.Issuer) {
	for _, i := range entries {
		template, fixed := i.Tenant, ""
		if !strings.Contains(i.Tenant, "{") {
			template, fixed = "", i.Tenant
		}
		out = append(out, auth.Issuer{
			Names: i.Names, JWKSURL: i.JWKSURL, JWKSFile: i.JWKSFile, Discovery: i.Discovery,
			Audiences: i.Audience, RequireKID: i.KeyIDs, TrustDomains: i.TrustDomains,
			Claims: token.Claims{
				Subject: i.Subject, SPIFFE: i.SubjectFormat == "spiffe", Under: i.SPIFFEPath, Tenant: template, FixedTenant: fixed,
				Roles: i.RolesClaim, Groups: i.GroupsClaim, Kind: i.KindClaim, Default: i.Kind,
				Scopes: i.ScopeClaims, DefaultScopes: i.DefaultScopes, ScopeMap: i.ScopeMap, Pass: i.ClaimsToPolicy,
			},
		})
	}
	return out
}

// PolicyKeys reads the key of signed archives, which has an id and a file; without
// either there is none.
func PolicyKeys(id, file, algorithm string) (bundle.Keys, error) {
	switch {
	case id == "" && file == "":
		return nil, nil
	case id == "" || file == "":
		return nil, errors.New("a key has an id and a file: give --key-id and --key-file (POLICY_KEY_ID, POLICY_KEY_FILE)")
	}
	pem, err := files.Read(file)
	if err != nil {
		return nil, err
	}
	return bundle.Keys{id: {PEM: string(pem), Algorithm: algorithm}}, nil
}

func traceConfig(c config.Config, version string) obs.TraceConfig {
	var headers []string
	if h := c.OTLPHeaders.Reveal(); h != "" {
		headers = strings.Split(h, ",")
	}
	return obs.TraceConfig{
		Endpoint: c.OTLPEndpoint, Headers: headers, Sampler: c.TraceSampler, SamplerArg: c.TraceSampleArg,
		Service: c.ServiceName, Attributes: c.TraceResource, Version: version,
	}
}
