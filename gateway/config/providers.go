package config

import (
	"net/url"
	"strings"
)

// provider is what is known of the tokens of an identity provider, from its
// documentation, and of the settings for it that do not work.
type provider struct {
	name        string
	host        string              // of its issuers; with a leading dot for all hosts below
	path        string              // that the path of its issuers contains
	slash       bool                // its issuers end in a slash
	never       string              // what no issuer of a token contains
	odd         func(string) bool   // other issuers that no token has
	remedy      string              // for the two
	unscoped    bool                // its tokens never carry scopes
	audience    func(string) string // what is wrong with an audience, empty for nothing
	noDiscovery string              // why its discovery document cannot be fetched
	subject     string              // what is known of its sub
}

// want is the issuer as the provider writes it.
func (p provider) want(issuer string) string {
	s := strings.TrimRight(issuer, "/")
	if after, ok := strings.CutPrefix(s, "http://"); ok && !strings.HasPrefix(p.host, "localhost") {
		s = "https://" + after
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	if p.slash {
		s += "/"
	}
	return s
}

// providerOf finds the provider of an issuer, by its host or its path.
func providerOf(issuer string) (provider, bool) {
	s := issuer
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return provider{}, false
	}
	for _, p := range providers() {
		host := p.host == u.Hostname() || strings.HasPrefix(p.host, ".") && strings.HasSuffix(u.Hostname(), p.host)
		if (p.host == "" || host) && strings.Contains(u.Path+"/", p.path) {
			return p, true
		}
	}
	return provider{}, false
}

// providers are the ones that are known, the more exact ones first.
func providers() []provider {
	return []provider{
		{name: "GitHub Actions", host: "token.actions.githubusercontent.com", unscoped: true},
		{name: "GitLab", host: "gitlab.com", unscoped: true},
		{name: "Buildkite", host: "agent.buildkite.com", unscoped: true},
		{name: "HCP Terraform", host: "app.terraform.io", unscoped: true},
		{
			name: "Google", host: "accounts.google.com", unscoped: true, audience: func(a string) string {
				if strings.HasPrefix(a, "https://accounts.google.com") {
					return "this is the issuer; the audience is an OAuth client id or what --audiences asked for"
				}
				return ""
			},
		},
		{
			name: "Entra ID, version 1.0", host: "sts.windows.net", slash: true, never: "/common",
			remedy: "no token has this issuer; it names the directory: https://sts.windows.net/{tenant id}/",
		},
		{
			name: "Entra ID, version 2.0", host: "login.microsoftonline.com",
			odd: func(s string) bool {
				return !strings.HasSuffix(strings.TrimRight(s, "/"), "/v2.0") || strings.Contains(s, "/common/") || strings.Contains(s, "/organizations/") || strings.Contains(s, "/consumers/")
			},
			remedy: "no token has this issuer; it is https://login.microsoftonline.com/{tenant id}/v2.0, and for version 1.0 https://sts.windows.net/{tenant id}/",
			audience: func(a string) string {
				if strings.HasPrefix(a, "api://") {
					return "tokens of version 2.0 have the application's client id, a GUID, as their audience"
				}
				return ""
			},
		},
		{name: "Auth0", host: ".auth0.com", slash: true, audience: func(a string) string {
			if strings.HasSuffix(a, "/userinfo") {
				return "tokens for userinfo are meant for Auth0 itself; the audience is the API's identifier"
			}
			return ""
		}},
		{
			name: "Okta", host: ".okta.com", odd: func(s string) bool { return !strings.Contains(s, "/oauth2/") },
			remedy: "tokens of the org authorization server are meant for Okta itself; use a custom one: https://{org}.okta.com/oauth2/default",
		},
		{
			name: "Kubernetes", host: "kubernetes.default.svc", unscoped: true,
			noDiscovery: "the API server gives its keys to its own clients alone; save them with kubectl get --raw /openid/v1/jwks and set jwks_file",
		},
		{
			name: "Kubernetes", host: "kubernetes.default.svc.cluster.local", unscoped: true,
			noDiscovery: "the API server gives its keys to its own clients alone; save them with kubectl get --raw /openid/v1/jwks and set jwks_file",
		},
		{name: "Keycloak", path: "/realms/", unscoped: true, audience: func(a string) string {
			if a == "account" {
				return "every token of the realm has it; make an audience mapper for this gateway"
			}
			return ""
		}},
	}
}
