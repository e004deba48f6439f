package auth

import (
	"net/http"

	"portcullis/gateway/auth/peer"
)

// Unpipelined keeps a second request out of the body of a first one. A proxy that is
// believed about client certificates (AUTH_MTLS_ENABLED) and that forwards both
// Transfer-Encoding and Content-Length could take for a body what is read here as the
// next request, with an identity header that it never saw (RFC 9112 section 11.2).
// net/http has removed the one of the two headers that does not count before anybody
// can see it, so after every request from such a proxy whose end a proxy could see
// elsewhere, a chunked one or one of HTTP/1.0, the connection is closed unread.
func (ch *Authenticator) Unpipelined(next http.Handler) http.Handler {
	if !ch.cfg.MTLS.Headers {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && (r.ProtoMinor == 0 || len(r.TransferEncoding) > 0) && ch.trust.Contains(peer.Addr(r)) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
