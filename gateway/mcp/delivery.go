package mcp

import (
	"time"

	"portcullis/gateway/mcp/protocol"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// maxWrapTTL bounds what a caller may ask for; the policy may allow less.
const maxWrapTTL = 24 * time.Hour

// ask writes into a request what _meta asks for.
func ask(r *op.Request, m *protocol.Meta) error {
	if m.Deliver != nil {
		form, _ := protocol.Text(m.Deliver)
		switch r.Deliver = call.Deliver(form); r.Deliver {
		case call.Plain, call.Masked, call.Wrapped:
		default:
			return protocol.InvalidParams(protocol.MetaDeliver + " must be plain, masked or wrapped")
		}
	}
	if m.Reason != nil {
		said, ok := protocol.Text(m.Reason)
		reason, err := op.ParseReason(said)
		if !ok || err != nil {
			return protocol.InvalidParams(protocol.MetaReason + " must be one line of text")
		}
		r.Reason = reason
	}
	if m.WrapTTL == nil {
		return nil
	}
	s, _ := protocol.Text(m.WrapTTL)
	ttl, err := time.ParseDuration(s)
	if err != nil || ttl < time.Second || ttl > maxWrapTTL || m.Deliver != nil && r.Deliver != call.Wrapped {
		return protocol.InvalidParams(protocol.MetaWrapTTL + " must be a duration from 1s to 24h, for a wrapped answer")
	}
	r.Deliver, r.WrapTTL = call.Wrapped, ttl
	return nil
}
