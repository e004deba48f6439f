package edge

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"portcullis/gateway/call"
)

// idRE is what is believed of a request id that a caller sends.
var idRE = regexp.MustCompile(`^[\w.:-]{1,128}$`)

// identify gives the request its id, which is the caller's when it is sound. The
// request's own header is set too, so that handlers find it there.
func (e *Edge) identify(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Request-Id")
	if !idRE.MatchString(id) {
		id = uuid.Must(uuid.NewV7()).String()
	}
	r.Header.Set("X-Request-Id", id)
	correlation := r.Header.Get("X-Correlation-Id")
	if idRE.MatchString(correlation) {
		e.Meter.Correlated.Inc()
	} else {
		correlation = id
	}
	w.Header().Set("X-Request-Id", id)
	w.Header().Set("X-Correlation-Id", correlation)
	if t := traceID(r.Header.Get("Traceparent")); t != "" {
		w.Header().Set("X-Trace-Id", t)
	}
}

var traceRE = regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$`)

// traceID returns the trace id of a traceparent header (W3C Trace Context), empty
// when it is not one.
func traceID(h string) string {
	if m := traceRE.FindStringSubmatch(h); m != nil {
		return m[1]
	}
	return ""
}

// admit checks what can be checked before routing: Host and Origin.
func (e *Edge) admit(w http.ResponseWriter, r *http.Request) *call.Error {
	if !e.hostAllowed(r) {
		return call.Errorf(call.Forbidden, "this Host is not served here; ALLOWED_HOSTS names those that are")
	}
	if origins := r.Header.Values("Origin"); strings.Join(origins, "") != "" {
		origin := origins[0]
		if len(origins) > 1 || !e.originAllowed(origin, r) {
			return call.Errorf(call.Forbidden, "this Origin is not allowed; CORS_ALLOW_ORIGINS or PUBLIC_URL must name it")
		}
		h := w.Header()
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "X-Request-Id, Mcp-Session-Id, WWW-Authenticate, Retry-After")
	}
	return nil
}

func (e *Edge) preflight(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP, Last-Event-ID, X-API-Key, X-Request-Id, "+
		"X-Correlation-Id, X-Portcullis-Deliver, X-Portcullis-Reason, X-On-Behalf-Of, X-Vault-Wrap-TTL, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
