// Package conformance proves the gateway with other people's MCP clients: the
// official inspector, the TypeScript SDKs, the Go SDK. Its tests run the real
// gateway in front of a real Vault; nothing of it is part of the gateway.
package conformance
