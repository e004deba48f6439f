// Package config is the only reader of files and environment variables. What it
// returns has been checked; every problem is reported at once.
package config

import (
	"net/netip"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
)

// Config is the whole configuration. The tag is the name of the environment
// variable and, in any case, of the key in a TOML, YAML or JSON file. The
// environment wins over the file; an empty variable counts as unset.
type Config struct {
	// Process
	Host          string        `cfg:"HOST"`                // address to listen on
	Port          int           `cfg:"PORT"`                // 0 for any free port
	AdminAddr     string        `cfg:"ADMIN_ADDR"`          // host:port for administrators, away from callers: metrics, profiles, policy, leases, revocation, log level, each for a scope of its own
	AdminMetrics  bool          `cfg:"ADMIN_OPEN_METRICS"`  // /metrics of ADMIN_ADDR answers without a credential
	StateDir      string        `cfg:"STATE_DIR"`           // what one gateway keeps over a restart; another gateway on it does not start; default: state in LOG_DIR, none when that is "-"
	LogLevel      string        `cfg:"LOG_LEVEL"`           // debug, info, warn or error
	LogDir        string        `cfg:"LOG_DIR"`             // directory of the log files, "-" for the terminal only
	LogRequests   string        `cfg:"LOG_REQUESTS"`        // other: requests.log has the HTTP requests that led to no call, because a call has its own record in responses.log; all: every request
	LogMaxBytes   int64         `cfg:"LOG_MAX_BYTES"`       // a log file with as many bytes is full: it is renamed to NAME-<time>.log
	LogMaxAge     time.Duration `cfg:"LOG_MAX_AGE"`         // so is one whose first record is as old; 0 for no bound
	LogKeep       int           `cfg:"LOG_KEEP"`            // how many full log files stay, 0 for all
	LogCompress   bool          `cfg:"LOG_COMPRESS"`        // full log files are compressed (gzip)
	AuditFile     string        `cfg:"AUDIT_FILE"`          // default: audit.jsonl in LOG_DIR; "-" for standard output
	AuditSync     string        `cfg:"AUDIT_SYNC"`          // off, or group: every record is fsynced, together with its neighbours
	AuditMaxBytes int64         `cfg:"AUDIT_MAX_BYTES"`     // a file of evidence with as many bytes is full: it is renamed to audit-<number of its first line>.jsonl; 0 for no bound
	AuditMaxAge   time.Duration `cfg:"AUDIT_MAX_AGE"`       // so is one whose first line is as old; 0 for no bound
	AuditKeep     int           `cfg:"AUDIT_KEEP"`          // how many full files stay, 0 for all
	AuditSignKey  string        `cfg:"AUDIT_SIGN_KEY_FILE"` // ed25519 key (PKCS 8 in PEM) that signs checkpoints; default: audit.key beside the file, made when it is not there
	// A key of Vault's transit engine that signs checkpoints in the place of the one in a
	// file: MOUNT/NAME, of the type ed25519
	AuditSignTransit string `cfg:"AUDIT_SIGN_TRANSIT_KEY"`

	AuditCompress bool `cfg:"AUDIT_COMPRESS"` // full files are compressed (gzip)
	// Where checkpoints of the evidence are kept as well: vault:MOUNT/PATH (KV version 2,
	// with CAS), https://, syslog+tcp://, syslog+tls://; and how often at most, as long as
	// lines come
	AuditAnchors     []string      `cfg:"AUDIT_ANCHORS"`
	AuditAnchorEvery time.Duration `cfg:"AUDIT_ANCHOR_INTERVAL"`
	// Where each line of evidence is copied to beside the file: syslog+tcp://HOST:PORT,
	// syslog+tls://HOST:PORT, https://HOST/PATH, stdout; with #format=ocsf, #format=ecs or
	// #format=cef behind it as an event for a SIEM; a path can be a credential
	AuditSinks      []string `cfg:"AUDIT_SINKS"`
	AuditSinkCA     string   `cfg:"AUDIT_SINK_CA"`         // PEM of the receivers' authority; empty for those of the system
	AuditSinkCert   string   `cfg:"AUDIT_SINK_CERT"`       // PEM of the gateway's certificate for them
	AuditSinkKey    string   `cfg:"AUDIT_SINK_KEY"`        // and its private key
	AuditSinkToken  string   `cfg:"AUDIT_SINK_TOKEN_FILE"` // file with the bearer token of the https sink, read at every request
	AuditSinkHMAC   string   `cfg:"AUDIT_SINK_HMAC_FILE"`  // file with the key that signs its requests, as Standard Webhooks do
	AuditSpoolDir   string   `cfg:"AUDIT_SPOOL_DIR"`       // where lines wait for a sink that is down; default: audit.spool beside the file
	AuditSpoolBytes int64    `cfg:"AUDIT_SPOOL_BYTES"`     // of each sink; lines over that are lost to the sink, and counted

	// What replicas share
	RedisURL    call.Secret `cfg:"REDIS_URL"`    // Redis or Valkey: redis://[USER:PASSWORD@]HOST:PORT[/DB], redis+sentinel://HOST:PORT,…/MASTER, redis+cluster://HOST:PORT,…; rediss in the place of redis for TLS; empty for one gateway
	RedisPrefix string      `cfg:"REDIS_PREFIX"` // of all keys there
	RedisCA     string      `cfg:"REDIS_CA"`     // PEM of the authority of Redis' certificate; empty for those of the system
	RedisCert   string      `cfg:"REDIS_CERT"`   // PEM of the gateway's certificate for Redis
	RedisKey    string      `cfg:"REDIS_KEY"`    // and its private key
	FirmStore   string      `cfg:"FIRM_STORE"`   // where revocations are kept: file, in STATE_DIR; or vault:MOUNT/PATH for all replicas, below a path of a KV version 2 mount that no grant reaches

	// How the process ends, and how much it takes
	ShutdownDelay   time.Duration `cfg:"SHUTDOWN_DELAY"`   // how long calls are served after readiness is off
	ShutdownTimeout time.Duration `cfg:"SHUTDOWN_TIMEOUT"` // how long running calls may finish at shutdown
	MaxBodyBytes    int64         `cfg:"MAX_BODY_BYTES"`   // of a request

	// Vault
	VaultAddr      string `cfg:"VAULT_ADDR"`
	VaultNamespace string `cfg:"VAULT_NAMESPACE"`
	// Where Vault's audit records come from, so that changes made past the gateway
	// are reported at once: file:PATH, unix:PATH or tcp:LOOPBACK:PORT. Empty: the
	// metadata of subscribed secrets is looked at every few seconds instead.
	VaultAuditTap string `cfg:"VAULT_AUDIT_TAP"`
	// Such changes are reported by the event stream of Vault Enterprise instead. Where
	// Vault has none, the metadata is looked at as before.
	VaultEvents bool `cfg:"VAULT_EVENTS"`

	// How the gateway proves itself to Vault: one of these four ways
	VaultToken           call.Secret `cfg:"VAULT_TOKEN"`
	VaultTokenFile       string      `cfg:"VAULT_TOKEN_FILE"`        // kept current by somebody else
	VaultRoleID          string      `cfg:"VAULT_ROLE_ID"`           // an AppRole, which is preferred
	VaultSecretID        call.Secret `cfg:"VAULT_SECRET_ID"`         // with VAULT_ROLE_ID, or
	VaultSecretIDFile    string      `cfg:"VAULT_SECRET_ID_FILE"`    // a file, read at every login
	VaultSecretIDWrapped bool        `cfg:"VAULT_SECRET_ID_WRAPPED"` // the secret id is a wrapping token
	// The secret id in VAULT_SECRET_ID_FILE is replaced so often: a new one is made, tried
	// and written there, and the old one is destroyed. 0 for never.
	VaultSecretIDRotation time.Duration `cfg:"VAULT_SECRET_ID_ROTATION"`
	VaultAuthRole         string        `cfg:"VAULT_AUTH_ROLE"`     // a role of JWT or Kubernetes authentication
	VaultAuthJWTFile      string        `cfg:"VAULT_AUTH_JWT_FILE"` // with VAULT_AUTH_ROLE
	VaultAuthMount        string        `cfg:"VAULT_AUTH_MOUNT"`    // default: approle, or jwt

	// How Vault is reached, and where its engines are
	VaultTimeout    time.Duration `cfg:"VAULT_TIMEOUT"`      // of one request to Vault
	VaultRequests   int           `cfg:"VAULT_MAX_REQUESTS"` // at once; one caller has at most a quarter of them
	VaultCACert     string        `cfg:"VAULT_CACERT"`
	VaultClientCert string        `cfg:"VAULT_CLIENT_CERT"`
	VaultClientKey  string        `cfg:"VAULT_CLIENT_KEY"`
	VaultServerName string        `cfg:"VAULT_TLS_SERVER_NAME"`
	VaultSkipVerify bool          `cfg:"VAULT_SKIP_VERIFY"`
	ReadCacheTTL    time.Duration `cfg:"READ_CACHE_TTL"`      // secrets are answered from memory for so long, 0 for never
	VaultNodes      []string      `cfg:"VAULT_CLUSTER_ADDRS"` // further addresses of the cluster; the gateway's tokens follow a redirect to them
	KVMount         string        `cfg:"KV_MOUNT"`            // where the engines are in Vault, slashes included: secret, team/kv
	TransitMount    string        `cfg:"TRANSIT_MOUNT"`
	DatabaseMount   string        `cfg:"DATABASE_MOUNT"`
	SSHMount        string        `cfg:"SSH_MOUNT"`
	KVMounts        []string      `cfg:"KV_MOUNTS"` // several mounts of an engine, the default one first
	TransitMounts   []string      `cfg:"TRANSIT_MOUNTS"`
	DatabaseMounts  []string      `cfg:"DATABASE_MOUNTS"`
	SSHMounts       []string      `cfg:"SSH_MOUNTS"`
	PKIMounts       []string      `cfg:"PKI_MOUNTS"`
	TOTPMounts      []string      `cfg:"TOTP_MOUNTS"`
	CredsMounts     []string      `cfg:"CREDS_MOUNTS"`   // engines with creds/{role}, of whatever type
	Mounts          []Mount       `cfg:"MOUNTS"`         // [[mounts]] of the file, see Mount
	DefaultPrefix   string        `cfg:"DEFAULT_PREFIX"` // callers' secrets live in DEFAULT_PREFIX/<subject>

	// What callers hold in Vault
	ChildTokenEnabled      bool          `cfg:"CHILD_TOKEN_ENABLED"`
	ChildTokenTTL          time.Duration `cfg:"CHILD_TOKEN_TTL"`
	ChildTokenPolicyPrefix string        `cfg:"CHILD_TOKEN_POLICY_PREFIX"`
	ChildTokenRole         string        `cfg:"CHILD_TOKEN_ROLE"`   // token role of batch tokens
	LeaseTokenRole         string        `cfg:"LEASE_TOKEN_ROLE"`   // orphan token role of the tokens that leases hang on
	LeaseMax               int           `cfg:"LEASES_PER_CALLER"`  // that one caller may hold
	LeaseRenew             bool          `cfg:"LEASE_RENEW"`        // prolong leases while their caller has not gone
	LeaseIdle              time.Duration `cfg:"LEASE_IDLE_TIMEOUT"` // how long after its last call a caller has gone: its leases end
	// VaultCallers says with whose token a caller's requests go to Vault: gateway for the
	// gateway's own, child for a child of it with the caller's policies, jwt for one that
	// Vault gives the caller itself on the gateway's word.
	VaultCallers string `cfg:"VAULT_CALLERS"`
	OIDCIssuer   string `cfg:"OIDC_ISSUER"`          // URL of the gateway as Vault knows it; PUBLIC_URL when it is left out
	OIDCKeyFile  string `cfg:"OIDC_ISSUER_KEY_FILE"` // private keys in PEM, the first of which signs; empty for one that is made in STATE_DIR
	OIDCMount    string `cfg:"OIDC_VAULT_MOUNT"`     // of the JWT auth method in Vault, below auth/

	// Who calls
	APIKeyEnabled bool        `cfg:"AUTH_API_KEY_ENABLED"`
	APIKeysJSON   call.Secret `cfg:"API_KEYS_JSON"` // {"key":"subject"}
	APIKeysFile   string      `cfg:"API_KEYS_FILE"` // keys as hashes, see portcullis keys new --help
	AuthFailures  int         `cfg:"AUTH_FAILURES_PER_MINUTE"`
	DenyListFile  string      `cfg:"DENY_LIST_FILE"` // written by portcullis revoke
	PublicURL     string      `cfg:"PUBLIC_URL"`     // the address under which callers know the gateway

	// Tokens
	JWTEnabled       bool        `cfg:"AUTH_JWT_ENABLED"`
	JWTSecret        call.Secret `cfg:"JWT_HS256_SECRET"` // for HS256, HS384 and HS512
	JWKSURL          string      `cfg:"JWT_JWKS_URL"`
	JWKSFile         string      `cfg:"JWT_JWKS_FILE"`
	JWTDiscovery     bool        `cfg:"JWT_OIDC_DISCOVERY"` // find the keys through JWT_ISSUER's discovery document
	JWKSCacheSeconds int         `cfg:"JWT_JWKS_CACHE_SECONDS"`
	JWKSStaleSeconds int         `cfg:"JWT_JWKS_STALE_SECONDS"` // how long keys are used when they cannot be fetched
	JWTRequireKID    bool        `cfg:"JWT_REQUIRE_KID"`
	JWTIssuer        []string    `cfg:"JWT_ISSUER"`   // names of one issuer, whose subjects are the same callers
	JWTAudience      []string    `cfg:"JWT_AUDIENCE"` // one of them must be in aud
	JWTCheckIssuer   bool        `cfg:"JWT_VALIDATE_ISSUER"`
	JWTCheckAudience bool        `cfg:"JWT_VALIDATE_AUDIENCE"`
	JWTSkewSeconds   int         `cfg:"JWT_CLOCK_SKEW_SECONDS"`
	JWTSubjectClaim  string      `cfg:"JWT_SUBJECT_CLAIM"`
	JWTSubjectFormat string      `cfg:"JWT_SUBJECT_FORMAT"` // plain, or spiffe: trust domain is the tenant, last segment the subject
	JWTSPIFFEPath    string      `cfg:"JWT_SPIFFE_PATH"`    // what stands between trust domain and last segment
	JWTTenantClaim   string      `cfg:"JWT_TENANT_CLAIM"`
	JWTRolesClaim    string      `cfg:"JWT_ROLES_CLAIM"`
	JWTKindClaim     string      `cfg:"JWT_KIND_CLAIM"`
	JWTScopeClaims   []string    `cfg:"JWT_SCOPE_CLAIMS"`
	JWTTrustDomains  []string    `cfg:"JWT_TRUST_DOMAINS"` // domain, or domain=tenant
	// Scopes of a token that names none of read, write, delete and list
	JWTDefaultScopes []string `cfg:"JWT_DEFAULT_SCOPES"`
	// Claims that the policy sees, each in its own JSON type: name, or name=/json/pointer
	JWTClaimsToPolicy []string `cfg:"JWT_CLAIMS_TO_POLICY"`
	// More issuers, each with its own keys and meaning of claims: [[issuers]] in the file
	Issuers []Issuer `cfg:"ISSUERS"`
	// bound: a subject belongs to API keys, to one issuer or to certificates; shared: whoever names it is that caller
	SubjectBinding string `cfg:"SUBJECT_BINDING"`

	// Certificates
	MTLSEnabled      bool     `cfg:"AUTH_MTLS_ENABLED"` // believe the two headers below, from TRUSTED_PROXIES alone
	MTLSHeader       string   `cfg:"MTLS_IDENTITY_HEADER"`
	MTLSVerifyHeader string   `cfg:"MTLS_VERIFY_HEADER"`
	MTLSCNPrefix     string   `cfg:"MTLS_SUBJECT_CN_PREFIX"`
	MTLSSubjectFrom  string   `cfg:"MTLS_SUBJECT_FROM"` // cn, dns or spiffe: which name of a native certificate is the subject
	MTLSSPIFFEPath   string   `cfg:"MTLS_SPIFFE_PATH"`
	MTLSTrustDomains []string `cfg:"MTLS_TRUST_DOMAINS"`
	MTLSScopes       []string `cfg:"MTLS_SCOPES"`
	MTLSKind         string   `cfg:"MTLS_KIND"`

	// The edge
	TLSCertFile     string         `cfg:"TLS_CERT_FILE"`
	TLSKeyFile      string         `cfg:"TLS_KEY_FILE"`
	TLSClientCAFile string         `cfg:"TLS_CLIENT_CA_FILE"`
	TLSClientAuth   string         `cfg:"TLS_CLIENT_AUTH"` // off, request or require
	TLSCRLFile      string         `cfg:"TLS_CRL_FILE"`
	TrustedProxies  []netip.Prefix `cfg:"TRUSTED_PROXIES"`
	AllowedHosts    []string       `cfg:"ALLOWED_HOSTS"` // Host headers that are served, beside the listener's own; *.example.com is every name below example.com
	CORSOrigins     []string       `cfg:"CORS_ALLOW_ORIGINS"`
	ExposeREST      bool           `cfg:"EXPOSE_REST_ROUTES"`
	ExposeVaultAPI  bool           `cfg:"EXPOSE_VAULT_API"` // Vault's own HTTP API below /v1/
	SSEKeepAlive    int            `cfg:"SSE_KEEPALIVE_SECONDS"`
	MCPToolNames    string         `cfg:"MCP_TOOL_NAMES"` // how tools are listed: underscore, or dotted as in the policy; calls accept both
	MCPToolsets     string         `cfg:"MCP_TOOLSETS"`   // engines whose tools MCP clients can see, separated by commas; empty is all
	MCPReadOnly     bool           `cfg:"MCP_READONLY"`   // true: MCP clients see only tools that change nothing
	MCPRPCCompat    bool           `cfg:"MCP_RPC_COMPAT"`

	// What clients are told of the authorization server
	OAuthIssuer        string `cfg:"OAUTH_ISSUER"`
	OAuthAuthorization string `cfg:"OAUTH_AUTHORIZATION_ENDPOINT"`
	OAuthToken         string `cfg:"OAUTH_TOKEN_ENDPOINT"`
	OAuthJWKS          string `cfg:"OAUTH_JWKS_URL"`
	OAuthResource      string `cfg:"OAUTH_RESOURCE_INDICATOR"`
	OAuthDocs          string `cfg:"OAUTH_RESOURCE_DOCS"`

	// What is decided
	PolicyDir     string `cfg:"POLICY_DIR"`
	PolicyKeyID   string `cfg:"POLICY_KEY_ID"`        // key id that a signed archive must name
	PolicyKeyFile string `cfg:"POLICY_KEY_FILE"`      // its public key, PEM
	PolicyKeyAlg  string `cfg:"POLICY_KEY_ALGORITHM"` // ES256, EdDSA or RS256
	// PolicyURL is a signed archive at an HTTP(S) bundle service, in the place of POLICY_DIR.
	PolicyURL     string        `cfg:"POLICY_URL"`
	PolicyEvery   time.Duration `cfg:"POLICY_URL_INTERVAL"`   // how often the service is asked
	PolicyToken   string        `cfg:"POLICY_URL_TOKEN_FILE"` // file with the bearer token, read at every fetch
	PolicyCA      string        `cfg:"POLICY_URL_CA"`         // PEM of the service's authority; empty for those of the system
	PolicyCert    string        `cfg:"POLICY_URL_CERT"`       // PEM of the gateway's certificate for the service
	PolicyCertKey string        `cfg:"POLICY_URL_KEY"`        // and its private key
	PolicyTimeout time.Duration `cfg:"POLICY_TIMEOUT"`
	PolicyShadow  string        `cfg:"POLICY_SHADOW_DIR"`      // a candidate that is evaluated beside POLICY_DIR and never enforced
	PolicyCanary  string        `cfg:"POLICY_CANARY"`          // share of the callers, as 5%, for whom that candidate decides
	PolicyBackup  string        `cfg:"POLICY_LAST_GOOD"`       // file that keeps the last good policy over a restart
	PolicySigned  bool          `cfg:"POLICY_SIGNED_REMOVALS"` // a policy without a rule, team or obligation of the one before must be signed
	PolicyStale   time.Duration `cfg:"POLICY_MAX_STALE"`       // how long it serves beside a newer one that was refused
	DecisionLog   string        `cfg:"DECISION_LOG"`           // file with one line a decision; default: decisions.jsonl in LOG_DIR; "off" for none
	DecisionBytes int64         `cfg:"DECISION_LOG_MAX_BYTES"` // a file with as many bytes is full: it is renamed to decisions-<time>.jsonl; 0 for no bound
	DecisionKeep  int           `cfg:"DECISION_LOG_KEEP"`      // how many full files stay, 0 for all
	DecisionKey   call.Secret   `cfg:"DECISION_LOG_KEY"`       // with which masked values are hashed
	RateEnabled   bool          `cfg:"RATE_LIMIT_ENABLED"`
	RateRequests  int           `cfg:"RATE_LIMIT_REQUESTS"`         // rate and burst of the tier "standard", over what the policy's data say;
	RateWindow    int           `cfg:"RATE_LIMIT_WINDOW_SECONDS"`   // in so many seconds. Unless one of both is set, the data hold
	MaxConns      int           `cfg:"MAX_CONNECTIONS"`             // of the callers' listener; 0 for three quarters of the open files, at most 20000
	MaxConnsEach  int           `cfg:"MAX_CONNECTIONS_PER_ADDRESS"` // 0 for half of them; TRUSTED_PROXIES are not held to it
	AuditMinFree  int64         `cfg:"AUDIT_MIN_FREE_BYTES"`        // what the disk of the evidence must have left, or calls are refused (503); on a small disk a twentieth
	// What may be held at once, by one caller, from one address and by all, for example
	// streams=256/0/16000,bytes=32MiB/4MiB/1GiB; README, "Budgets", lists the defaults.
	Budgets      []string `cfg:"BUDGETS"`
	WASMManifest string   `cfg:"WASM_MANIFEST"`
	WASMCacheDir string   `cfg:"WASM_CACHE_DIR"` // compiled modules, mode 0700; empty for none

	// Traces, with the names that OpenTelemetry gives its own settings
	OTLPEndpoint   string      `cfg:"OTEL_EXPORTER_OTLP_ENDPOINT"` // base URL of a collector (http/protobuf), for example http://127.0.0.1:4318; empty for no traces
	OTLPHeaders    call.Secret `cfg:"OTEL_EXPORTER_OTLP_HEADERS"`  // name=value,...; may hold a credential of the collector
	TraceSampler   string      `cfg:"OTEL_TRACES_SAMPLER"`         // default parentbased_always_on
	TraceSampleArg string      `cfg:"OTEL_TRACES_SAMPLER_ARG"`     // ratio, 0 to 1
	ServiceName    string      `cfg:"OTEL_SERVICE_NAME"`
	TraceResource  []string    `cfg:"OTEL_RESOURCE_ATTRIBUTES"` // key=value,...

	// RateSet says that RATE_LIMIT_REQUESTS or RATE_LIMIT_WINDOW_SECONDS was set.
	RateSet bool `cfg:"-"`

	// PKIMount, TOTPMount and CredsMount are the default mounts of these engines.
	PKIMount   string `cfg:"-"`
	TOTPMount  string `cfg:"-"`
	CredsMount string `cfg:"-"`

	// More are the mounts beside the default ones, by engine: kv, transit, db, ssh.
	More map[string][]Mount `cfg:"-"`

	// CanaryPercent is POLICY_CANARY as a number.
	CanaryPercent float64 `cfg:"-"`

	// Limits are the defaults of the budgets with BUDGETS applied.
	Limits budget.Table `cfg:"-"`

	// File is the file that was read; empty for none.
	File string `cfg:"-"`
	// Warnings are what is odd, but not wrong.
	Warnings []string `cfg:"-"`

	offline bool // no credential for Vault is needed
}

// defaultIssuer is that of the tokens of the service that this one replaces.
const defaultIssuer = "mcp-auth"

// Default returns the values of everything that is not set.
func Default() Config {
	return Config{
		Host: "127.0.0.1", Port: 8089, LogLevel: "info", LogDir: "logs", LogRequests: "other", LogMaxBytes: 10 << 20, LogKeep: 5, AuditSync: "off", AuditMaxBytes: 256 << 20, AuditAnchorEvery: time.Minute, AuditSpoolBytes: 256 << 20,
		ShutdownDelay: 5 * time.Second, ShutdownTimeout: 10 * time.Second, MaxBodyBytes: 1 << 20,
		VaultAddr: "http://localhost:8200", VaultTimeout: 10 * time.Second, VaultRequests: 256,
		KVMount: "secret", TransitMount: "transit", DatabaseMount: "database", SSHMount: "ssh", PKIMount: "pki", TOTPMount: "totp", DefaultPrefix: "mcp",
		OIDCMount: "portcullis", RedisPrefix: "portcullis", FirmStore: "file",
		ChildTokenTTL: 90 * time.Second, ChildTokenPolicyPrefix: "mcp-agent-",
		ChildTokenRole: "mcp-gateway", LeaseTokenRole: "mcp-gateway-lease",
		LeaseMax: 100, LeaseRenew: true, LeaseIdle: time.Hour,
		APIKeyEnabled: true, JWTEnabled: true,
		JWTIssuer: []string{defaultIssuer}, JWTAudience: []string{"mcp-agents"}, JWTCheckIssuer: true, JWTCheckAudience: true,
		JWKSCacheSeconds: 300, JWKSStaleSeconds: 3600, JWTSkewSeconds: 30,
		JWTSubjectClaim: "sub", JWTSubjectFormat: "plain", JWTRolesClaim: "roles", JWTScopeClaims: []string{"scope", "scopes", "scp"}, SubjectBinding: "bound",
		MTLSHeader: "x-ssl-client-s-dn", MTLSVerifyHeader: "x-ssl-client-verify", MTLSCNPrefix: "CN=", MTLSSubjectFrom: "cn",
		MTLSScopes: []string{"read", "write", "delete", "list"}, MTLSKind: "agent",
		AuthFailures: 300, TLSClientAuth: "off", ExposeREST: true, ExposeVaultAPI: true, SSEKeepAlive: 15, MCPToolNames: "underscore",
		PolicyTimeout: 25 * time.Millisecond, PolicyKeyAlg: "ES256", PolicyStale: 24 * time.Hour, PolicyEvery: 30 * time.Second,
		AuditMinFree: 16 << 20, RateEnabled: true, RateRequests: 60, RateWindow: 60,
		ServiceName: "portcullis", DecisionBytes: 64 << 20, DecisionKeep: 16,
	}
}

// retired are keys of the service that this one replaces which mean nothing here.
// They are accepted, so that an old configuration starts.
func retired() []string {
	return []string{
		"RELOAD", "AWS_KMS_ENABLED", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_KMS_ENDPOINT", "AWS_KMS_DEFAULT_KEY_ID",
	}
}
