// Package cert knows client certificates: how a listener asks for them, which are
// accepted, and whom they name.
package cert

// Listener configures TLS of the gateway's own listener.
type Listener struct {
	CertFile     string // TLS_CERT_FILE, PEM chain; empty for a listener without TLS
	KeyFile      string // TLS_KEY_FILE
	ClientCAFile string // TLS_CLIENT_CA_FILE
	ClientAuth   string // TLS_CLIENT_AUTH: off (default), request or require
	CRLFile      string // TLS_CRL_FILE: PEM or DER; when set, every client CA needs a current list in it
}
