// Package native is the base redactor of every log line: what it finds never leaves
// the process, whatever modules are loaded. It knows three kinds of secrets: the
// exact values that were just read from Vault, values whose key says that they
// are secret, and texts with the shape of a token, at any depth of JSON in JSON.
//
// Secrets with a type of their own (call.Secret) print as [redacted] before they
// come here. The package also has the built-in transforms mask and encode.
package native
