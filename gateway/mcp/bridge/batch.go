package bridge

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"
)

// batch posts a batch and writes the one line of its answers. When there is none, each
// request in it is answered with the reason.
func (b *Bridge) batch(ctx context.Context, text []byte, messages []protocol.Message) {
	f := b.failure(ctx, b.postBatch(ctx, text))
	if f == nil {
		return
	}
	var replies []jsontext.Value
	for i := range messages {
		if m := &messages[i]; m.ID != nil && !m.IsResponse() {
			replies = append(replies, protocol.EncodeFault(m.ID, f))
		}
	}
	if replies != nil {
		_ = b.out.Write(protocol.MustJSON(replies)) // the client has gone when this fails
	}
}

// postBatch sends a batch as one message without a name.
func (b *Bridge) postBatch(ctx context.Context, text []byte) error {
	resp, err := b.inSession(ctx, text, &protocol.Message{Method: "batch"})
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return cutOff(err)
	}
	switch body = bytes.TrimSpace(body); {
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted:
		return b.refusal(resp, body)
	case len(body) == 0:
		return nil
	}
	line := jsontext.Value(body)
	if err := line.Compact(); err != nil || line.Kind() != '[' {
		return cutOff(io.ErrUnexpectedEOF)
	}
	return b.out.Write(line)
}
