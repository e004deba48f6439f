package mcp

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

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

	// Header is sent with every message. Optional.
	Header http.Header

	out      *output
	mu       sync.Mutex // guards what follows
	session  string
	hello    []byte    // the client's initialize
	settings []setting // what the client has set up in the session
	running  map[string]context.CancelFunc
	wg       sync.WaitGroup

	requests sync.WaitGroup // those that end by themselves
	renewing sync.Mutex     // held by the one who begins a new session
}

// Serve carries messages until in ends, the reader of Out has gone or ctx ends, and
// what is answered soon after.
func (r *Remote) Serve(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer r.wg.Wait()
	defer cancel()
	r.out = &output{w: r.Out, gone: cancel}
	r.running = map[string]context.CancelFunc{}
	err := eachLine(ctx, in, func(l line) error {
		if l.tooLong {
			return r.out.write(encodeFault(l.id, tooLong()))
		}
		return r.line(ctx, l.text)
	})
	if err == nil {
		drain(ctx, &r.requests)
	}
	stopped := ctx.Err() != nil
	last, end := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer end()
	r.endSession(last)
	if stopped {
		return nil // told to stop, or nobody reads any more
	}
	return err
}

// lastWords is how long the gateway may take to hear that a session ends.
const lastWords = 2 * time.Second

// line sends a message, or in a session a batch of them: the gateway knows whether the
// session has batches.
func (r *Remote) line(ctx context.Context, text []byte) error {
	if text[0] == '[' && r.legacy() {
		messages, f := parseBatch(text)
		if f != nil {
			return r.out.write(encodeFault(nil, f))
		}
		r.beside(ctx, false, func(ctx context.Context) { r.batch(ctx, text, messages) })
		return nil
	}
	m, f := parse(text)
	if f != nil {
		return r.out.write(encodeFault(m.id, f))
	}
	r.message(ctx, text, &m)
	return nil
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
		key := string(m.id)
		ctx, cancel := context.WithCancel(ctx)
		r.mu.Lock()
		r.running[key] = cancel
		r.mu.Unlock()
		r.beside(ctx, m.method == methodListen, func(ctx context.Context) {
			defer cancel()
			r.send(ctx, line, m)
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.running, key)
		})
	}
	if m.method == "notifications/initialized" && r.legacy() {
		r.wg.Go(func() { r.stream(ctx) })
	}
}

// beside runs f beside others. Streams stay, the others are waited for at the end.
func (r *Remote) beside(ctx context.Context, stream bool, f func(context.Context)) {
	ends := func() {}
	if !stream {
		r.requests.Add(1)
		ends = r.requests.Done
	}
	r.wg.Go(func() {
		defer ends()
		f(ctx)
	})
}

// cancel ends a request here; in the modern era that is all that there is to do.
func (r *Remote) cancel(m *message) {
	p := reader{o: m.params}
	id := p.value("requestId")
	r.mu.Lock()
	defer r.mu.Unlock()
	if stop := r.running[string(id)]; stop != nil {
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
	_ = r.out.write(encodeFault(m.id, f)) // the client has gone when this fails
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
	if r.legacy() || m.method == "initialize" || m.meta.version != "" {
		return r.URL
	}
	return r.URL + "/rpc"
}

// label sets the headers of the message's era.
func (r *Remote) label(h http.Header, m *message) {
	maps.Copy(h, r.Header)
	if m.meta.version != "" {
		h.Set("MCP-Protocol-Version", m.meta.version)
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
		return r.out.write(line)
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
			if err := r.out.write(bytes.Clone(data)); err != nil {
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
