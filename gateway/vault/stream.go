package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"
	"github.com/hashicorp/vault/api"

	"portcullis/gateway/call"
	"portcullis/gateway/retry"
	"portcullis/gateway/vault/wire"
)

// stream is one connection that Vault's notifications come over.
type stream struct {
	Listener
	client    *Client
	namespace string
	conn      *websocket.Conn
	token     string // that it was opened with
}

// maxMessage bounds a notification, in bytes. A longer one ends the connection.
const maxMessage = 1 << 20

var (
	errOtherToken = errors.New("the gateway has another token")
	errSilent     = errors.New("vault does not answer on its event stream")
)

// listen opens the stream and receives changes until it ends; err says why it did.
func (c *Client) listen(ctx context.Context, l Listener) (opened bool, err error) {
	s := &stream{Listener: l, client: c, namespace: strings.Trim(c.base.Namespace(), "/")}
	if err := s.open(ctx); err != nil {
		return false, err
	}
	defer func() { _ = s.conn.CloseNow() }()
	c.log.Info("Vault's event stream is open")
	l.Opened()
	defer l.Closed()
	ctx, end := context.WithCancelCause(ctx)
	attended := make(chan struct{})
	go func() { defer close(attended); s.attend(ctx, end) }()
	err = s.read(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	end(err)
	<-attended
	return true, err
}

// open opens the connection. A standby sends to the active node.
func (s *stream) open(ctx context.Context) error {
	c := s.client
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	t, err := c.root.Token(ctx)
	if err != nil {
		return tokenFailed(err)
	}
	for r := (wire.Request{Method: wire.Get, Path: "sys/events/subscribe/kv*", Token: t.Value}); ; {
		conn, resp, err := c.upgrade(ctx, r)
		if err == nil {
			conn.SetReadLimit(maxMessage)
			s.conn, s.token = conn, t.Value
			return nil
		}
		if resp == nil || resp.StatusCode < http.StatusMultipleChoices || resp.StatusCode >= http.StatusBadRequest {
			return c.notOpened(r, resp, err)
		}
		// A standby redirects this request always: that says nothing about the others.
		if r, err = c.redirected(ctx, r, &api.Response{Response: resp}, true); err != nil {
			return err
		}
	}
}

// upgrade asks for a websocket. net/http uses HTTP/1.1 for it by itself.
func (c *Client) upgrade(ctx context.Context, r wire.Request) (conn *websocket.Conn, resp *http.Response, err error) {
	ended := c.track(ctx, &r)
	defer func() { ended(err) }()
	r.Counts.Sent() // whether Vault has seen it, its own log tells
	u, err := url.Parse(c.base.Address())
	if err != nil {
		return nil, nil, err
	}
	u.Path, u.RawQuery = strings.TrimSuffix(u.Path, "/")+"/v1/"+r.Path, "json=true"
	if r.Node != nil {
		u.Scheme, u.Host = r.Node.Scheme, r.Node.Host
	}
	h := c.base.Headers()
	h.Set("X-Vault-Token", r.Token)
	h.Set("X-Correlation-Id", r.ID)
	return websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		HTTPHeader: h,
		HTTPClient: &http.Client{Transport: c.http.streams, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	})
}

// notOpened maps why the stream was not opened. A token that Vault does not know is
// dropped when there can be another.
func (c *Client) notOpened(r wire.Request, resp *http.Response, err error) error {
	if resp == nil {
		return unavailable(err)
	}
	answer := &api.Response{Response: resp}
	if refused := answer.Error(); refused != nil {
		err = mapError(failure{err: refused, resp: answer, req: r, sent: true})
		if call.Is(err, call.VaultAuth) && c.login.renews() {
			c.root.Drop(r.Token)
		}
		return err
	}
	return call.Wrap(call.VaultError, "Vault error", fmt.Errorf("vault answered %d", resp.StatusCode))
}

// read passes on changes until the connection ends. A message that makes no sense is
// counted and skipped.
func (s *stream) read(ctx context.Context) error {
	for {
		_, message, err := s.conn.Read(ctx)
		if code := websocket.CloseStatus(err); code >= 0 {
			return fmt.Errorf("vault has closed the connection with status %d", code)
		}
		if err != nil {
			return unavailable(err)
		}
		notifications.Inc()
		ch, ok, err := s.change(message)
		if err != nil {
			malformed.Inc()
		}
		if ok {
			s.Changed(ch)
		}
	}
}

// attend ends the stream when the gateway has another token, which is when Vault
// would soon end it, and when nothing answers at its other end.
func (s *stream) attend(ctx context.Context, end context.CancelCauseFunc) {
	for retry.Sleep(ctx, rootCheckEvery) {
		if s.client.root.Peek().Value != s.token {
			end(errOtherToken)
			return
		}
		ping, cancel := context.WithTimeout(ctx, s.client.timeout)
		err := s.conn.Ping(ping)
		cancel()
		if err != nil {
			end(errSilent)
			return
		}
	}
}
