package rest

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/call"
)

// maxWrapTTL bounds what a caller may ask for; the policy may allow less.
const maxWrapTTL = 24 * time.Hour

// delivery reads the form in which a caller asks for its answer: X-Portcullis-Deliver,
// or Vault's own X-Vault-Wrap-TTL for a wrapped one. The decision makes of it the
// tighter of what is asked and what is allowed.
func delivery(h http.Header) (call.Deliver, time.Duration, error) {
	form := call.Deliver(h.Get("X-Portcullis-Deliver"))
	switch form {
	case "", call.Plain, call.Masked, call.Wrapped:
	default:
		return "", 0, call.Errorf(call.InvalidRequest, "header X-Portcullis-Deliver: must be plain, masked or wrapped")
	}
	text := h.Get("X-Vault-Wrap-TTL")
	if text == "" {
		return form, 0, nil
	}
	if form == call.Plain || form == call.Masked {
		return "", 0, call.Errorf(call.InvalidRequest, "headers X-Vault-Wrap-TTL and X-Portcullis-Deliver contradict each other")
	}
	if _, err := strconv.Atoi(text); err == nil {
		text += "s"
	}
	ttl, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil || ttl < time.Second || ttl > maxWrapTTL {
		return "", 0, call.Errorf(call.InvalidRequest, "header X-Vault-Wrap-TTL: not a duration from 1s to 24h")
	}
	return call.Wrapped, ttl, nil
}
