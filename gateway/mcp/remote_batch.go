package mcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

// batch posts a batch and writes the one line of its answers. When there is none, each
// request in it is answered with the reason.
func (r *Remote) batch(ctx context.Context, text []byte, messages []message) {
	err := r.postBatch(ctx, text)
	if ctx.Err() != nil {
		return
	}
	if r.Took != nil {
		r.Took(err)
	}
	if err == nil {
		return
	}
	f, ok := errors.AsType[*Fault](err)
	if !ok {
		f = &Fault{Code: CodeCall, Msg: err.Error()}
	}
	var replies []jsontext.Value
	for i := range messages {
		if m := &messages[i]; m.id != nil && !m.isResponse() {
			replies = append(replies, encodeFault(m.id, f))
		}
	}
	if replies != nil {
		_ = r.out.write(mustJSON(replies)) // the client has gone when this fails
	}
}

// postBatch sends a batch as one message without a name. When the gateway no longer
// knows the session, it is sent again in a new one.
func (r *Remote) postBatch(ctx context.Context, text []byte) error {
	used, m := r.current(), &message{method: "batch"}
	resp, err := r.exchange(ctx, text, m)
	if err != nil {
		return err
	}
	if gone(resp) {
		_ = resp.Body.Close()
		if err := r.renew(ctx, used); err != nil {
			return err
		}
		if resp, err = r.exchange(ctx, text, m); err != nil {
			return err
		}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return cutOff(err)
	}
	switch body = bytes.TrimSpace(body); {
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted:
		return r.refusal(resp, body)
	case len(body) == 0:
		return nil
	}
	line := jsontext.Value(body)
	if err := line.Compact(); err != nil || line.Kind() != '[' {
		return cutOff(io.ErrUnexpectedEOF)
	}
	return r.out.write(line)
}
