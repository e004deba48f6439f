package mcp

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// The keys of _meta by which a call asks for a masked or a wrapped answer. The
// decision makes of it the tighter of what is asked and what is allowed.
const (
	metaDeliver = "portcullis/deliver"
	metaWrapTTL = "portcullis/wrap_ttl" // a duration, for example "60s"
)

// maxWrapTTL bounds what a caller may ask for; the policy may allow less.
const maxWrapTTL = 24 * time.Hour

// ask writes into a request what _meta asks for.
func ask(r *op.Request, meta jsontext.Value) error {
	f, err := fields(meta, metaDeliver, metaWrapTTL)
	if err != nil {
		return invalidParams("_meta: " + err.Error())
	}
	if f[0] != nil {
		form, _ := text(f[0])
		switch r.Deliver = call.Deliver(form); r.Deliver {
		case call.Plain, call.Masked, call.Wrapped:
		default:
			return invalidParams(metaDeliver + " must be plain, masked or wrapped")
		}
	}
	if f[1] == nil {
		return nil
	}
	s, _ := text(f[1])
	ttl, err := time.ParseDuration(s)
	if err != nil || ttl < time.Second || ttl > maxWrapTTL || f[0] != nil && r.Deliver != call.Wrapped {
		return invalidParams(metaWrapTTL + " must be a duration from 1s to 24h, for a wrapped answer")
	}
	r.Deliver, r.WrapTTL = call.Wrapped, ttl
	return nil
}
