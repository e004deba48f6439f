// Package clients has tests that drive clients of Vault that exist already, unmodified,
// against a real Vault and against the gateway in front of it, and compare what they do
// (make clients). They have the build tag clients, because building HashiCorp's command
// takes minutes.
package clients
