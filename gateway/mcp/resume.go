package mcp

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"
)

// A session ends with the policy that it began under. A client on stdio knows
// nothing of sessions, so Remote begins a new one for it (MCP 2025-11-25,
// transports, session management) and sets it up as the old one was.

var errSession = errors.New("the session has ended, and a new one could not be begun")

// setting is a request of the client that holds for the rest of the session.
type setting struct {
	key  string // a later one with the same key replaces it
	uri  string // of a subscription
	line []byte
}

// gone reports whether the gateway does not know the session of a request.
func gone(resp *http.Response) bool {
	return resp.StatusCode == http.StatusNotFound && resp.Request.Header.Get(headerSession) != ""
}

// note keeps what a new session would need.
func (r *Remote) note(line []byte, m *message, resp *http.Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch m.method {
	case "initialize":
		r.session, r.hello, r.settings = resp.Header.Get(headerSession), line, nil
	case "logging/setLevel":
		r.keep(setting{key: m.method, line: line})
	case "resources/subscribe":
		if uri := uriOf(m); uri != "" {
			r.keep(setting{"uri " + uri, uri, line})
		}
	case "resources/unsubscribe":
		if uri := uriOf(m); uri != "" {
			r.settings = slices.DeleteFunc(r.settings, func(s setting) bool { return s.uri == uri })
		}
	}
}

// uriOf is the URI in a message's params, empty when there is none.
func uriOf(m *message) string {
	p := reader{o: m.params}
	return p.optional("uri")
}

// keep adds a setting. The lock is held.
func (r *Remote) keep(s setting) {
	r.settings = append(slices.DeleteFunc(r.settings, func(o setting) bool { return o.key == s.key }), s)
}

// renew begins a session in the place of one that is gone, once for all who find
// it gone.
func (r *Remote) renew(ctx context.Context, gone string) error {
	r.renewing.Lock()
	defer r.renewing.Unlock()
	if r.current() != gone {
		return nil
	}
	r.mu.Lock()
	hello, settings := r.hello, slices.Clone(r.settings)
	r.mu.Unlock()
	id, err := r.quietly(ctx, hello)
	if err != nil {
		return err
	}
	if id == "" {
		return errSession
	}
	r.mu.Lock()
	r.session = id
	r.mu.Unlock()
	lines := [][]byte{notification("notifications/initialized", nil)}
	for _, s := range settings {
		lines = append(lines, s.line)
	}
	for _, line := range lines {
		if _, err := r.quietly(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

// quietly sends a message whose answer the client has had before, and returns the
// session's id when it began one.
func (r *Remote) quietly(ctx context.Context, line []byte) (id string, err error) {
	m, f := parse(line)
	if f != nil {
		return "", f
	}
	resp, err := r.exchange(ctx, line, &m)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is of it says why
		return "", r.refusal(resp, body)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get(headerSession), err
}

// The pause before a stream is opened again doubles from one to the other.
const (
	pauseLeast = time.Second
	pauseMost  = 30 * time.Second
)

// stream copies what the server has to say by itself, for the legacy session, and
// opens the stream again when it ends.
func (r *Remote) stream(ctx context.Context) {
	last, pause := "", pauseLeast
	for ctx.Err() == nil {
		used := r.current()
		status, id := r.streamOnce(ctx, last)
		switch status {
		case http.StatusOK:
			last, pause = cmp.Or(id, last), pauseLeast
		case http.StatusMethodNotAllowed:
			return // the server has no streams
		case http.StatusNotFound:
			if r.renew(ctx, used) == nil {
				last, pause = "", pauseLeast
				r.changed()
				continue
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, pauseMost)
		}
	}
}

// streamOnce copies one stream and returns its status, 0 when there was none, and
// the last id in it.
func (r *Remote) streamOnce(ctx context.Context, after string) (status int, last string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return 0, ""
	}
	req.Header.Set("Accept", "text/event-stream")
	if after != "" {
		req.Header.Set("Last-Event-Id", after)
	}
	r.label(req.Header, &message{})
	resp, err := r.do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		last, _ = r.copyStream(resp.Body, func([]byte) {}) // the end of the stream is no error
	}
	return resp.StatusCode, last
}

// changed tells the client that what it has subscribed to may have changed: between
// two sessions nobody listened.
func (r *Remote) changed() {
	r.mu.Lock()
	settings := slices.Clone(r.settings)
	r.mu.Unlock()
	for _, s := range settings {
		if s.uri != "" {
			_ = r.out.write(notification("notifications/resources/updated", map[string]any{"uri": s.uri})) // the client has gone when this fails
		}
	}
}
