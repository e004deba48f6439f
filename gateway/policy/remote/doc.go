// Package remote fetches policies from an HTTP(S) bundle service, as OPA does: an archive
// with an ETag, a bearer token or a client certificate
// (https://www.openpolicyagent.org/docs/management-bundles). An archive that is not
// signed by a known key is never taken.
package remote
