package rest

import (
	"net/http"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/op"
)

// stated reads why the caller says that it calls, from X-Portcullis-Reason.
func stated(h http.Header) (string, error) {
	text, err := edge.Once(h, "X-Portcullis-Reason")
	if err != nil {
		return "", err
	}
	reason, err := op.ParseReason(text)
	if err != nil {
		return "", call.Errorf(call.InvalidRequest, "header X-Portcullis-Reason: %s", call.AsError(err).Msg)
	}
	return reason, nil
}

// client is the first product of User-Agent (RFC 9110 section 10.1.5).
func client(h http.Header) op.Client {
	product, _, _ := strings.Cut(h.Get("User-Agent"), " ")
	name, version, _ := strings.Cut(product, "/")
	return op.ClientNamed(name, version, "")
}
