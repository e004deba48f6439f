// Package vaultapi is Vault's own HTTP API below /v1/, for clients that exist already. A
// method and a path are an operation of the catalogue or a question that the gateway
// answers itself; the tables in routes.go and system.go are all that there is, and
// whatever is in neither is refused without Vault hearing of it. Nothing is passed
// through: arguments are bound, decided, recorded and done as those of any other call,
// and the answer is written in Vault's form (Vault docs, api-docs).
package vaultapi
