package auth

import "net/http"

// strip removes headers about client certificates that nobody may send.
func (ch *Chain) strip(r *http.Request) {
	for _, h := range []string{"X-Ssl-Client-S-Dn", "X-Ssl-Client-Verify", "Client-Dn"} {
		delete(r.Header, h)
	}
}
