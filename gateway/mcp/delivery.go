package mcp

import (
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// The keys of _meta by which a call asks for a masked or a wrapped answer. The
// decision makes of it the tighter of what is asked and what is allowed.
const (
	metaDeliver = "portcullis/deliver"
	metaWrapTTL = "portcullis/wrap_ttl" // a duration, for example "60s"
	metaReason  = "portcullis/reason"   // why the caller calls, one line
)

// maxWrapTTL bounds what a caller may ask for; the policy may allow less.
const maxWrapTTL = 24 * time.Hour

// ask writes into a request what _meta asks for.
func ask(r *op.Request, m *meta) error {
	if m.deliver != nil {
		form, _ := text(m.deliver)
		switch r.Deliver = call.Deliver(form); r.Deliver {
		case call.Plain, call.Masked, call.Wrapped:
		default:
			return invalidParams(metaDeliver + " must be plain, masked or wrapped")
		}
	}
	if m.reason != nil {
		said, ok := text(m.reason)
		reason, err := op.ParseReason(said)
		if !ok || err != nil {
			return invalidParams(metaReason + " must be one line of text")
		}
		r.Reason = reason
	}
	if m.wrapTTL == nil {
		return nil
	}
	s, _ := text(m.wrapTTL)
	ttl, err := time.ParseDuration(s)
	if err != nil || ttl < time.Second || ttl > maxWrapTTL || m.deliver != nil && r.Deliver != call.Wrapped {
		return invalidParams(metaWrapTTL + " must be a duration from 1s to 24h, for a wrapped answer")
	}
	r.Deliver, r.WrapTTL = call.Wrapped, ttl
	return nil
}
