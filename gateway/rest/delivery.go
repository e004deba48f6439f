package rest

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/op"
)

// maxWrapTTL bounds what a caller may ask for; the policy may allow less.
const maxWrapTTL = 24 * time.Hour

// cached says whether an answer came from the read cache, and how old it is (RFC
// 9111 section 5.1).
func cached(h http.Header, res *op.Result) {
	switch {
	case res.Cache.Hit:
		h.Set("X-Cache", "HIT")
		h.Set("Age", strconv.Itoa(int(res.Cache.Age/time.Second)))
	case res.Cache.Asked:
		h.Set("X-Cache", "MISS")
	}
}

// delivery reads the form in which a caller asks for its answer: X-Portcullis-Deliver,
// or Vault's own X-Vault-Wrap-TTL for a wrapped one. The decision makes of it the
// tighter of what is asked and what is allowed.
func delivery(h http.Header) (call.Deliver, time.Duration, error) {
	asked, err := edge.Once(h, "X-Portcullis-Deliver")
	if err != nil {
		return "", 0, err
	}
	form := call.Deliver(asked)
	switch form {
	case "", call.Plain, call.Masked, call.Wrapped:
	default:
		return "", 0, call.Errorf(call.InvalidRequest, "header X-Portcullis-Deliver: must be plain, masked or wrapped")
	}
	text, err := edge.Once(h, "X-Vault-Wrap-TTL")
	if err != nil || text == "" {
		return form, 0, err
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
