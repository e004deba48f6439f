package mcp

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Remote carries a stdio client's messages to a gateway elsewhere, over
// Streamable HTTP in the era that each message is of. It decides nothing: the
// gateway does, for the credential that is sent.
type Remote struct {
	URL    string // of the /mcp endpoint
	Client *http.Client
	// Sign adds the credential to a request.
	Sign func(*http.Request) error
	// Credential is where the credential comes from, for messages.
	Credential string
	// Took hears what came of every message, nil when it was carried. Optional.
	Took func(error)
	Out  io.Writer

	out      sync.Mutex // guards writes to Out
	mu       sync.Mutex // guards what follows
	session  string
	hello    []byte    // the client's initialize
	settings []setting // what the client has set up in the session
	running  map[string]context.CancelFunc
	wg       sync.WaitGroup

	requests sync.WaitGroup // those that end by themselves
	renewing sync.Mutex     // held by the one who begins a new session
}

// Serve carries messages until in ends or ctx does, and what is answered soon after.
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
	if err == nil {
		drain(ctx, &r.requests)
	}
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
		ends := func() {}
		if m.method != methodListen {
			r.requests.Add(1)
			ends = r.requests.Done
		}
		r.wg.Go(func() {
			defer ends()
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
	if ctx.Err() != nil {
		return
	}
	if r.Took != nil {
		r.Took(err)
	}
	if err == nil || m.id == nil || m.isResponse() {
		return
	}
	f, ok := errors.AsType[*Fault](err)
	if !ok {
		f = &Fault{Code: CodeCall, Msg: err.Error()}
	}
	_ = r.write(encodeFault(m.id, f)) // the client has gone when this fails
}

// post sends a message and copies what comes back. When the gateway no longer knows
// the session, the message is sent again in a new one.
func (r *Remote) post(ctx context.Context, line []byte, m *message) error {
	used := r.current()
	resp, err := r.exchange(ctx, line, m)
	if err != nil {
		return err
	}
	if gone(resp) {
		_ = resp.Body.Close()
		if err := r.renew(ctx, used); err != nil {
			return err
		}
		if resp, err = r.exchange(ctx, line, m); err != nil {
			return err
		}
	}
	defer func() { _ = resp.Body.Close() }()
	r.note(line, m, resp)
	return r.copy(resp, m)
}

// exchange posts one message.
func (r *Remote) exchange(ctx context.Context, line []byte, m *message) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.endpoint(m), bytes.NewReader(line))
	if err != nil {
		return nil, unreachable(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	r.label(req.Header, m)
	return r.do(req)
}

func (r *Remote) do(req *http.Request) (*http.Response, error) {
	if err := r.Sign(req); err != nil {
		return nil, err
	}
	resp, err := r.Client.Do(req)
	if err != nil {
		return nil, unreachable(err)
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

func (r *Remote) legacy() bool { return r.current() != "" }

// current is the session's id, empty when there is none.
func (r *Remote) current() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.session
}

// copy writes the messages of a reply, which is one of them or a stream. A request
// that is not answered there never will be, which is a failure.
func (r *Remote) copy(resp *http.Response, m *message) error {
	request := m.id != nil && !m.isResponse()
	if resp.StatusCode < 300 && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		answered := false
		_, err := r.copyStream(resp.Body, func(msg []byte) { answered = answered || answers(msg, m) })
		switch {
		case err == nil && (answered || !request):
			return nil
		case m.method == methodListen:
			return carried(noGateway, "the stream from the gateway broke: listen again")
		}
		return cutOff(cmp.Or(err, io.ErrUnexpectedEOF))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return cutOff(err)
	}
	body = bytes.TrimSpace(body)
	switch {
	case request && answers(body, m):
		line := jsontext.Value(body)
		if err := line.Compact(); err != nil { // one message is one line
			return cutOff(err)
		}
		return r.write(line)
	case request, resp.StatusCode >= 300:
		return r.refusal(resp, body)
	}
	return nil
}

// copyStream writes the messages of a stream, each of which see is shown, and returns
// the last id in it.
func (r *Remote) copyStream(body io.Reader, see func([]byte)) (last string, err error) {
	s := bufio.NewScanner(body)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		if id, ok := strings.CutPrefix(s.Text(), "id: "); ok {
			last = id
		}
		if data, ok := bytes.CutPrefix(s.Bytes(), []byte("data: ")); ok && len(data) > 0 {
			see(data)
			if err := r.write(bytes.Clone(data)); err != nil {
				return last, err
			}
		}
	}
	return last, s.Err()
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
