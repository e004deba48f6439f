package edge

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"portcullis/gateway/call"
)

// Status is the one table from a code to an HTTP status.
func Status(c call.Code) int {
	switch c {
	case call.Unauthenticated, call.AmbiguousCredentials:
		return http.StatusUnauthorized
	case call.Forbidden, call.InsufficientScope, call.OnBehalfOfRequired:
		return http.StatusForbidden
	case call.RateLimited, call.LeaseQuota:
		return http.StatusTooManyRequests
	case call.InvalidRequest:
		return http.StatusBadRequest
	case call.BodyTooLarge:
		return http.StatusRequestEntityTooLarge
	case call.UnsupportedMediaType:
		return http.StatusUnsupportedMediaType
	case call.UnknownOperation, call.NotFound, call.Deleted:
		return http.StatusNotFound
	case call.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case call.CASMismatch:
		return http.StatusConflict
	case call.CASRequired:
		return http.StatusPreconditionRequired
	case call.VaultUnavailable, call.VaultAuth, call.PolicyTimeout, call.AuditUnavailable, call.TransformUnavailable, call.Overloaded:
		return http.StatusServiceUnavailable
	case call.VaultTimeout, call.OutcomeUnknown:
		return http.StatusGatewayTimeout
	case call.VaultError, call.TransformFailed:
		return http.StatusBadGateway
	case call.PolicyError:
		return http.StatusForbidden
	case call.Canceled:
		return 499 // nobody is there to read it; the log says what others say
	default:
		return http.StatusInternalServerError
	}
}

// detail is the text that callers of the service before this one look for.
func detail(e *call.Error) string {
	switch e.Code {
	case call.Unauthenticated, call.AmbiguousCredentials:
		return "Unauthorized"
	case call.InsufficientScope:
		return "Forbidden: missing scopes"
	case call.RateLimited:
		return "Rate limit exceeded"
	case call.NotFound, call.Deleted:
		return "Secret not found"
	default:
		return e.Msg
	}
}

// ErrorBody is the body of every error over plain HTTP.
type ErrorBody struct {
	Error  ErrorDetail `json:"error"`
	Detail string      `json:"detail"`
}

// ErrorDetail is what a caller learns of an error.
type ErrorDetail struct {
	Code       call.Code `json:"code"`
	Message    string    `json:"message"`
	DecisionID string    `json:"decision_id"`
	RequestID  string    `json:"request_id"`
	RetryAfter float64   `json:"retry_after_s,omitempty"`
	Scopes     []string  `json:"required_scopes,omitempty"`
	Data       any       `json:"data,omitempty"`
}

// WriteError answers with an error. Only its public part is written.
func WriteError(w http.ResponseWriter, err error, decisionID string) {
	WriteErrorStatus(w, Status(call.AsError(err).Code), err, decisionID)
}

// ErrorWriter answers with an error in another form than the usual one.
type ErrorWriter func(w http.ResponseWriter, err error, decisionID string)

// WriteErrorStatus is WriteError with a status of its own.
func WriteErrorStatus(w http.ResponseWriter, status int, err error, decisionID string) {
	if ew, ok := w.(*writer); ok && ew.errors != nil {
		ew.errors(w, err, decisionID)
		return
	}
	e := call.AsError(err)
	h := w.Header()
	wait := SetRetryAfter(h, e)
	raw, merr := json.Marshal(ErrorBody{Detail: detail(e), Error: ErrorDetail{
		Code: e.Code, Message: e.Msg, DecisionID: decisionID, RequestID: h.Get("X-Request-Id"),
		RetryAfter: math.Ceil(wait*1000) / 1000, Scopes: e.Scopes, Data: e.Data,
	}})
	if merr != nil {
		raw = []byte(`{"error":{"code":"internal","message":"internal error"}}`)
	}
	WriteJSON(w, status, raw)
}

// SetRetryAfter says when to try again, and returns it in seconds.
func SetRetryAfter(h http.Header, e *call.Error) float64 {
	wait := e.Wait().Seconds()
	if wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait))))
	}
	return wait
}

// WriteJSON answers with a JSON text. It reports whether all of it was taken, so that its
// memory may be used again.
func WriteJSON(w http.ResponseWriter, status int, raw []byte) (sent bool) {
	if err := Room(w, len(raw)); err != nil {
		WriteError(w, err, "")
		return false
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	_, err := w.Write(raw) // the reader is gone when this fails
	return err == nil
}
