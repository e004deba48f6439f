// Package clients has tests that drive clients of Vault that exist already, unmodified,
// against a real Vault and against the gateway in front of it, and compare what they do
// (make clients). They have the build tag clients, because building HashiCorp's command
// takes minutes. What the clients have said is written down below testdata, without values,
// and replayed against both servers without the tag.
package clients
