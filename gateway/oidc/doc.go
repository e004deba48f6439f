// Package oidc is the gateway as an issuer of identity (OpenID Connect Core): it signs who
// a caller is, for Vault's JWT auth method, and publishes the keys that prove it. What it
// signs is for Vault alone, names one caller and is good for a minute.
package oidc
