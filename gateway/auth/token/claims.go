// Package token verifies JWT access tokens and says whom they name.
package token

// Claims says which claim is what. A name that begins with "/" is a JSON pointer
// (RFC 6901) into the claims, "/realm_access/roles".
type Claims struct {
	Subject string   // JWT_SUBJECT_CLAIM, default sub
	SPIFFE  bool     // JWT_SUBJECT_FORMAT=spiffe: the subject is a SPIFFE id
	Under   string   // JWT_SPIFFE_PATH: what stands between trust domain and last segment
	Tenant  string   // JWT_TENANT_CLAIM, default none; when set, a token without it is refused
	Roles   string   // JWT_ROLES_CLAIM, default roles
	Kind    string   // JWT_KIND_CLAIM, default none; agent, human or service
	Scopes  []string // JWT_SCOPE_CLAIMS, default scope,scopes; a list, or a string of words
}
