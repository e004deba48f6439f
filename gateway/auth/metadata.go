package auth

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/auth/principal"
)

// MetadataPath and ServerMetadataPath are where the documents are mounted. The
// first also with the path of a resource appended (RFC 9728 section 3.1).
const (
	MetadataPath       = "/.well-known/oauth-protected-resource"
	ServerMetadataPath = "/.well-known/oauth-authorization-server"
)

// resourcePaths are the resources that have a document of their own, the gateway
// itself first.
func resourcePaths() []string { return []string{"", "/mcp", "/mcp/rpc"} }

// checkPublicURL holds PUBLIC_URL to an origin, with a path at most.
func (ch *Authenticator) checkPublicURL() error {
	s := ch.cfg.PublicURL
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return errors.New("want an address like https://vault-gw.example.com")
	}
	if strings.ContainsAny(s, "\"\\ ") {
		return errors.New("has characters that no address has")
	}
	return nil
}

// resource is a protected resource metadata document (RFC 9728 section 2).
type resource struct {
	Resource      string   `json:"resource"`
	Servers       []string `json:"authorization_servers,omitempty"`
	Scopes        []string `json:"scopes_supported"`
	Methods       []string `json:"bearer_methods_supported"`
	ProofAlgs     []string `json:"dpop_signing_alg_values_supported"`
	CertBound     bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	Documentation string   `json:"resource_documentation,omitempty"`
}

// ServeResourceMetadata answers at MetadataPath, with or without the path of a
// resource behind it. Without an authorization server there is no document: it would
// send clients on a search for one.
func (ch *Authenticator) ServeResourceMetadata(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, MetadataPath), "/")
	issuer := ch.authorizationServer()
	if issuer == "" || !slices.Contains(resourcePaths(), path) {
		http.NotFound(w, r)
		return
	}
	doc := resource{
		Resource: ch.base(r) + path, Servers: []string{issuer}, Scopes: principal.AllScopes(), Methods: []string{"header"},
		ProofAlgs: proofAlgorithms(), CertBound: ch.tls != nil && ch.tls.Asks(), Documentation: ch.cfg.OAuth.Docs,
	}
	if path == "" && ch.cfg.OAuth.Resource != "" {
		doc.Resource = ch.cfg.OAuth.Resource
	}
	serveJSON(w, doc)
}

// authorizationServer is who gives tokens for this gateway, empty when nobody does
// to whom a client could be sent: OAUTH_ISSUER, else the JWT_ISSUER whose tokens are
// verified when that is an address. The [[issuers]] of the file are not asked, since
// most of them give tokens to workloads alone.
func (ch *Authenticator) authorizationServer() string {
	if ch.cfg.OAuth.Issuer != "" || ch.tokens == nil {
		return ch.cfg.OAuth.Issuer
	}
	for _, name := range ch.cfg.JWT.Issuers {
		if strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://") {
			return name
		}
	}
	return ""
}

// server is an authorization server metadata document (RFC 8414 section 2).
type server struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint,omitempty"`
	Token         string   `json:"token_endpoint,omitempty"`
	JWKS          string   `json:"jwks_uri,omitempty"`
	ResponseTypes []string `json:"response_types_supported"`
	Grants        []string `json:"grant_types_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
}

// ServeServerMetadata answers at ServerMetadataPath with what the configuration
// says of the authorization server, for clients that look for it here. Without
// OAUTH_ISSUER there is no document.
func (ch *Authenticator) ServeServerMetadata(w http.ResponseWriter, r *http.Request) {
	o := ch.cfg.OAuth
	if o.Issuer == "" {
		http.NotFound(w, r)
		return
	}
	serveJSON(w, server{
		Issuer: o.Issuer, Authorization: o.AuthorizationEndpoint, Token: o.TokenEndpoint, JWKS: o.JWKSURL,
		ResponseTypes: []string{"code"},
		Grants:        []string{"authorization_code", "client_credentials"},
		AuthMethods:   []string{"client_secret_basic", "private_key_jwt"},
		Challenges:    []string{"S256"},
	})
}

func serveJSON(w http.ResponseWriter, doc any) {
	body, err := json.Marshal(doc)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(body)
}
