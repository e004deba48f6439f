package mcp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Remote carries a stdio client's messages to a gateway elsewhere, over
// Streamable HTTP in the era that each message is of. It decides nothing: the
// gateway does, for the credential that is sent.
type Remote struct {
	URL    string // of the /mcp endpoint
	Client *http.Client
	// Sign adds the credential to a request.
	Sign func(*http.Request) error
	Out  io.Writer

	out     sync.Mutex // guards writes to Out
	mu      sync.Mutex // guards what follows
	session string
	running map[string]context.CancelFunc
	wg      sync.WaitGroup
}

// Serve carries messages until in ends or ctx does.
func (r *Remote) Serve(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer r.wg.Wait()
	defer cancel()
	r.running = map[string]context.CancelFunc{}
	err := eachLine(in, func(line []byte) error {
		m, f := parse(line)
		if f != nil {
			return r.write(encodeFault(m.id, f))
		}
		r.message(ctx, line, &m)
		return nil
	})
	r.endSession(context.WithoutCancel(ctx))
	return err
}

// message sends a message. What changes the session is waited for, the rest runs
// beside each other.
func (r *Remote) message(ctx context.Context, line []byte, m *message) {
	switch {
	case m.method == "notifications/cancelled":
		r.cancel(m)
		r.send(ctx, line, m)
	case m.id == nil, m.isResponse(), m.method == "initialize":
		r.send(ctx, line, m)
	default:
		ctx, cancel := context.WithCancel(ctx)
		r.mu.Lock()
		r.running[string(m.id)] = cancel
		r.mu.Unlock()
		r.wg.Go(func() {
			defer cancel()
			r.send(ctx, line, m)
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.running, string(m.id))
		})
	}
	if m.method == "notifications/initialized" && r.legacy() {
		r.wg.Go(func() { r.stream(ctx) })
	}
}

// cancel ends a request here; in the modern era that is all that there is to do.
func (r *Remote) cancel(m *message) {
	f, err := fields(m.params, "requestId")
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if stop := r.running[string(f[0])]; stop != nil {
		stop()
	}
}

// send posts one message and writes what comes back. A failure is the answer to a
// request.
func (r *Remote) send(ctx context.Context, line []byte, m *message) {
	err := r.post(ctx, line, m)
	if err == nil || m.id == nil || m.isResponse() || ctx.Err() != nil {
		return
	}
	_ = r.write(encodeFault(m.id, &Fault{Code: CodeCall, Msg: err.Error()})) // the client has gone when this fails
}

var errUnreachable = errors.New("the gateway cannot be reached")

func (r *Remote) post(ctx context.Context, line []byte, m *message) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.endpoint(m), bytes.NewReader(line))
	if err != nil {
		return errUnreachable
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	r.label(req.Header, m)
	resp, err := r.do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if m.method == "initialize" {
		r.mu.Lock()
		r.session = resp.Header.Get(headerSession)
		r.mu.Unlock()
	}
	return r.copy(resp)
}

func (r *Remote) do(req *http.Request) (*http.Response, error) {
	if err := r.Sign(req); err != nil {
		return nil, err
	}
	resp, err := r.Client.Do(req)
	if err != nil {
		return nil, errUnreachable
	}
	return resp, nil
}

// endpoint is where a message goes: one that belongs to no session and names no
// revision is plain JSON-RPC.
func (r *Remote) endpoint(m *message) string {
	mt, f := readMeta(m.params)
	if r.legacy() || m.method == "initialize" || f != nil || mt.version != "" {
		return r.URL
	}
	return r.URL + "/rpc"
}

// label sets the headers of the message's era.
func (r *Remote) label(h http.Header, m *message) {
	mt, f := readMeta(m.params)
	if f == nil && mt.version != "" {
		h.Set("MCP-Protocol-Version", mt.version)
		h.Set("Mcp-Method", m.method)
		if name, ok := routedName(m); ok {
			h.Set("Mcp-Name", encodeHeader(name))
		}
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session != "" && m.method != "initialize" {
		h.Set(headerSession, r.session)
	}
}

func (r *Remote) legacy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.session != ""
}

// copy writes the messages of a reply, which is one of them or a stream.
func (r *Remote) copy(resp *http.Response) error {
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return r.copyStream(resp.Body)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return errUnreachable
	}
	if body = bytes.TrimSpace(body); len(body) == 0 {
		if resp.StatusCode >= http.StatusBadRequest {
			return fmt.Errorf("the gateway answered %d", resp.StatusCode)
		}
		return nil
	}
	if _, f := parse(body); f != nil {
		return fmt.Errorf("the gateway answered %d", resp.StatusCode)
	}
	return r.write(body)
}

func (r *Remote) copyStream(body io.Reader) error {
	s := bufio.NewScanner(body)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		if data, ok := strings.CutPrefix(s.Text(), "data: "); ok && data != "" {
			if err := r.write([]byte(data)); err != nil {
				return err
			}
		}
	}
	return s.Err()
}

// stream copies what the server has to say by itself, for the legacy session.
func (r *Remote) stream(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return
	}
	req.Header.Set("Accept", "text/event-stream")
	r.label(req.Header, &message{})
	resp, err := r.do(req)
	if err != nil {
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		_ = r.copyStream(resp.Body) // the end of the stream is no error
	}
}

func (r *Remote) endSession(ctx context.Context) {
	if !r.legacy() {
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, r.URL, nil)
	if err != nil {
		return
	}
	r.label(req.Header, &message{})
	if resp, err := r.do(req); err == nil {
		_ = resp.Body.Close()
	}
}

func (r *Remote) write(msg []byte) error {
	r.out.Lock()
	defer r.out.Unlock()
	_, err := r.Out.Write(append(msg, '\n'))
	return err
}
