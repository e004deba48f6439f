package auth

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"portcullis/gateway/auth/cert"
	"portcullis/gateway/auth/peer"
	"portcullis/gateway/auth/token"
	"portcullis/gateway/call"
)

// Config is what authentication needs. Behind each field stands the name of its
// configuration key. Every method whose fields are empty is off.
type Config struct {
	// DefaultPrefix (DEFAULT_PREFIX, "mcp") stands before the subject in the
	// path of a caller's own secrets.
	DefaultPrefix call.Path
	// Loopback says that nobody but this machine reaches the listener. Only then
	// are short API keys and short HMAC secrets accepted, with a warning.
	Loopback bool
	// PublicURL (PUBLIC_URL) is the address under which callers know the gateway,
	// "https://vault-gw.example.com". It is used in challenges and metadata, is an
	// accepted audience, and is what DPoP proofs must be made for. When it is
	// empty, the scheme of the connection and the Host header stand in.
	PublicURL string
	// TrustedProxies (TRUSTED_PROXIES) are the peers whose X-Forwarded-For and
	// client certificate headers are believed.
	TrustedProxies []netip.Prefix
	// DenyListFile (DENY_LIST_FILE) is the list of what has been revoked, written
	// by `portcullis revoke`. It need not exist yet.
	DenyListFile string
	// FailuresPerMinute (AUTH_FAILURES_PER_MINUTE, 300) bounds the refused
	// credentials of one source address. Negative for no bound.
	FailuresPerMinute int
	// SharedSubjects (SUBJECT_BINDING=shared) lets credentials of every kind and of
	// every issuer be the same caller when they name the same subject. Otherwise a
	// name belongs to one of them; see owners.
	SharedSubjects bool

	APIKeys APIKeys
	JWT     JWT
	TLS     cert.Listener
	MTLS    MTLS
	OAuth   OAuth

	// Log receives weak settings and what is wrong with sources. Nil for none.
	Log *slog.Logger
	// HTTPClient fetches JWKS and discovery documents. Nil for a client with
	// sensible limits.
	HTTPClient *http.Client
	// ProofSeen remembers DPoP proofs for all replicas: it reports whether an id
	// was there already, and keeps it until the given time. Nil for memory of
	// this process.
	ProofSeen func(id string, until time.Time) (seen bool, err error)
	// CountFailure counts bad credentials of an address with all replicas. Nil for
	// those of this process.
	CountFailure peer.Count
}

// APIKeys configures the X-API-Key header, and "Authorization: Bearer" with a key.
type APIKeys struct {
	Enabled bool        // AUTH_API_KEY_ENABLED, default true
	JSON    call.Secret // API_KEYS_JSON: {"key":"subject"}, all four scopes
	File    string      // API_KEYS_FILE: YAML or JSON, see apikey.File; made by `portcullis keys new`
}

// JWT configures "Authorization: Bearer" and "Authorization: DPoP". Keys come
// from the secret (HS256, HS384, HS512) and from one of JWKSFile, JWKSURL and
// Discovery (RS, PS, ES, EdDSA).
type JWT struct {
	Enabled bool // AUTH_JWT_ENABLED, default true

	Secret     call.Secret   // JWT_HS256_SECRET: at least 32 bytes; 48 for HS384, 64 for HS512
	JWKSFile   string        // JWT_JWKS_FILE, read again when it changes
	JWKSURL    string        // JWT_JWKS_URL, https or loopback
	Discovery  bool          // JWT_OIDC_DISCOVERY: find the JWKS through {JWT_ISSUER}/.well-known/openid-configuration
	CacheFor   time.Duration // JWT_JWKS_CACHE_SECONDS, default 300, at least 30
	StaleFor   time.Duration // JWT_JWKS_STALE_SECONDS: how long after CacheFor keys are used when they cannot be fetched
	RequireKID bool          // JWT_REQUIRE_KID

	Issuers      []string      // JWT_ISSUER, comma separated: names of one issuer, whose subjects are the same callers
	Audiences    []string      // JWT_AUDIENCE, comma separated: one of them must be in aud
	AnyIssuer    bool          // JWT_VALIDATE_ISSUER=false
	AnyAudience  bool          // JWT_VALIDATE_AUDIENCE=false
	ClockSkew    time.Duration // JWT_CLOCK_SKEW_SECONDS, at most 300
	Claims       token.Claims  // which claim is what
	TrustDomains []string      // JWT_TRUST_DOMAINS: "domain" or "domain=tenant", for SPIFFE ids as subjects

	More []Issuer // the [[issuers]] of the configuration file, beside the one of the fields above
}

// Issuer is one entry of [[issuers]]: who may vouch for callers beside the issuer of
// the JWT_* keys. Keys come from one of JWKSFile, JWKSURL and Discovery.
type Issuer struct {
	Names        []string // issuer: values of iss, of one issuer whose subjects are the same callers
	JWKSFile     string   // jwks_file
	JWKSURL      string   // jwks_url
	Discovery    bool     // discovery
	Audiences    []string // audience
	RequireKID   bool
	Claims       token.Claims // subject, tenant, roles_claim, default_scopes, scope_map, kind
	TrustDomains []string     // trust_domains
	AnyIssuer    bool
	AnyAudience  bool
	secret       call.Secret
	source       string // what the entry is called as an owner of names
}

// MTLS configures identities from client certificates: those of the native
// listener (Config.TLS), and those that a proxy reports in headers.
type MTLS struct {
	// Headers (AUTH_MTLS_ENABLED, default false) accepts the two headers below from
	// TrustedProxies. From everybody else they are removed unread.
	Headers        bool
	IdentityHeader string // MTLS_IDENTITY_HEADER, default x-ssl-client-s-dn
	VerifyHeader   string // MTLS_VERIFY_HEADER, default x-ssl-client-verify: must say SUCCESS
	CNPrefix       string // MTLS_SUBJECT_CN_PREFIX, default "CN=": the attribute of the DN that names the subject

	SubjectFrom  string   // MTLS_SUBJECT_FROM: cn (default), dns or spiffe, of native certificates
	SPIFFEPath   string   // MTLS_SPIFFE_PATH: what stands between trust domain and last segment
	TrustDomains []string // MTLS_TRUST_DOMAINS: "domain" or "domain=tenant"; empty: each domain is its own tenant
	Scopes       []string // MTLS_SCOPES
	Kind         string   // MTLS_KIND, default agent
}

// OAuth configures the metadata documents.
type OAuth struct {
	Issuer                string // OAUTH_ISSUER
	AuthorizationEndpoint string // OAUTH_AUTHORIZATION_ENDPOINT
	TokenEndpoint         string // OAUTH_TOKEN_ENDPOINT
	JWKSURL               string // OAUTH_JWKS_URL
	// Resource (OAUTH_RESOURCE_INDICATOR) names the gateway to authorization
	// servers (RFC 8707). It is an accepted audience when set.
	Resource string
	Docs     string // OAUTH_RESOURCE_DOCS
}
