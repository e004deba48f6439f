// Package capacity holds the model of the capacity page (gateway/docs/capacity.md): what calls
// of many callers at many replicas ask of one Redis and one Vault. A test prints the page's
// table from it, and another checks it against limiters and caches of the gateway itself, which
// run by a simulated clock:
//
//	go test ./gateway/e2e/capacity -parts 1   # every caller, as make capacity does; minutes, and 8 GB
package capacity
