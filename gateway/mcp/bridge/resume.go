package bridge

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"portcullis/gateway/mcp/protocol"
	"portcullis/gateway/retry"
)

// A session ends with the policy that it began under. A client on stdio knows
// nothing of sessions, so Bridge begins a new one for it (MCP 2025-11-25,
// transports, session management) and sets it up as the old one was.

var errSession = errors.New("the session has ended, and a new one could not be begun")

// setting is a request of the client that holds for the rest of the session.
type setting struct {
	key  string // a later one with the same key replaces it
	uri  string // of a subscription
	line []byte
}

// sessionUnknown reports whether the gateway does not know the session of a request.
func sessionUnknown(resp *http.Response) bool {
	return resp.StatusCode == http.StatusNotFound && resp.Request.Header.Get(protocol.HeaderSession) != ""
}

// remember keeps the messages that set up a new session.
func (b *Bridge) remember(line []byte, m *protocol.Message, resp *http.Response) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch m.Method {
	case "initialize":
		b.session, b.initialize, b.settings = resp.Header.Get(protocol.HeaderSession), line, nil
	case "logging/setLevel":
		b.keep(setting{key: m.Method, line: line})
	case "resources/subscribe":
		if uri := uriOf(m); uri != "" {
			b.keep(setting{"uri " + uri, uri, line})
		}
	case "resources/unsubscribe":
		if uri := uriOf(m); uri != "" {
			b.settings = slices.DeleteFunc(b.settings, func(s setting) bool { return s.uri == uri })
		}
	}
}

// uriOf is the URI in a message's params, empty when there is none.
func uriOf(m *protocol.Message) string {
	p := protocol.Reader{O: m.Params}
	return p.Optional("uri")
}

// keep adds a setting. The lock is held.
func (b *Bridge) keep(s setting) {
	b.settings = append(slices.DeleteFunc(b.settings, func(o setting) bool { return o.key == s.key }), s)
}

// newSession begins a session in place of one that the gateway does not know any more.
// Concurrent messages that find it out begin one session together.
func (b *Bridge) newSession(ctx context.Context, gone string) error {
	b.renewing.Lock()
	defer b.renewing.Unlock()
	if b.current() != gone {
		return nil
	}
	b.mu.Lock()
	initialize, settings := b.initialize, slices.Clone(b.settings)
	b.mu.Unlock()
	id, err := b.replay(ctx, initialize)
	if err != nil {
		return err
	}
	if id == "" {
		return errSession
	}
	b.mu.Lock()
	b.session = id
	b.mu.Unlock()
	lines := [][]byte{protocol.Notification("notifications/initialized", nil)}
	for _, s := range settings {
		lines = append(lines, s.line)
	}
	for _, line := range lines {
		if _, err := b.replay(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

// replay sends a message that the client has sent before, drops its answer, and returns
// the session's id when the message began one.
func (b *Bridge) replay(ctx context.Context, line []byte) (id string, err error) {
	m, f := protocol.Parse(line)
	if f != nil {
		return "", f
	}
	resp, err := b.exchange(ctx, line, &m)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is of it says why
		return "", b.refusal(resp, body)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get(protocol.HeaderSession), err
}

// The pause before a stream is opened again doubles from one to the other.
const (
	pauseLeast = time.Second
	pauseMost  = 30 * time.Second
)

// stream copies what the server has to say by itself, for the legacy session, and
// opens the stream again when it ends.
func (b *Bridge) stream(ctx context.Context) {
	last, pause := "", pauseLeast
	for ctx.Err() == nil {
		used := b.current()
		status, id := b.streamOnce(ctx, last)
		switch status {
		case http.StatusOK:
			last, pause = cmp.Or(id, last), pauseLeast
		case http.StatusMethodNotAllowed:
			return // the server has no streams
		case http.StatusNotFound:
			if b.newSession(ctx, used) == nil {
				last, pause = "", pauseLeast
				b.notifySubscribed()
				continue
			}
		}
		if retry.Sleep(ctx, pause) {
			pause = min(2*pause, pauseMost)
		}
	}
}

// streamOnce copies one stream and returns its status, 0 when there was none, and
// the last id in it.
func (b *Bridge) streamOnce(ctx context.Context, after string) (status int, last string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.URL, nil)
	if err != nil {
		return 0, ""
	}
	req.Header.Set("Accept", "text/event-stream")
	if after != "" {
		req.Header.Set("Last-Event-Id", after)
	}
	b.label(req.Header, &protocol.Message{})
	resp, err := b.do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		last, _ = b.copyStream(resp.Body, func([]byte) {}) // the end of the stream is no error
	}
	return resp.StatusCode, last
}

// notifySubscribed tells the client that each resource that it is subscribed to may have
// changed, because changes between two sessions were not reported.
func (b *Bridge) notifySubscribed() {
	b.mu.Lock()
	settings := slices.Clone(b.settings)
	b.mu.Unlock()
	for _, s := range settings {
		if s.uri != "" {
			_ = b.out.Write(protocol.Notification("notifications/resources/updated", map[string]any{"uri": s.uri})) // the client has gone when this fails
		}
	}
}
