// Package bridge carries the messages of an MCP client on stdio to a running gateway.
package bridge

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

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"
)

// Bridge carries a stdio client's messages to a gateway elsewhere, over
// Streamable HTTP in the era that each message is of. It decides nothing: the
// gateway does, for the credential that is sent.
type Bridge struct {
	URL    string // of the /mcp endpoint
	Client *http.Client
	// Sign adds the credential to a request.
	Sign func(*http.Request) error
	// Credential is where the credential comes from, for messages.
	Credential string
	// Report hears what came of every message, nil when it was carried. Optional.
	Report func(error)
	Out    io.Writer

	// Header is sent with every message. Optional.
	Header http.Header

	out        *protocol.Output
	mu         sync.Mutex // guards what follows
	session    string
	initialize []byte    // the client's initialize
	settings   []setting // what the client has set up in the session
	running    map[string]context.CancelFunc
	wg         sync.WaitGroup

	requests sync.WaitGroup // those that end by themselves
	renewing sync.Mutex     // held by the one who begins a new session
}

// Serve carries messages until in ends, the reader of Out has gone or ctx ends, and
// what is answered soon after.
func (b *Bridge) Serve(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer b.wg.Wait()
	defer cancel()
	b.out = &protocol.Output{W: b.Out, Gone: cancel}
	b.running = map[string]context.CancelFunc{}
	err := protocol.EachLine(ctx, in, func(l protocol.Line) error {
		if l.TooLong {
			return b.out.Write(protocol.EncodeFault(l.ID, protocol.TooLong()))
		}
		return b.line(ctx, l.Text)
	})
	if err == nil {
		protocol.Drain(ctx, &b.requests)
	}
	stopped := ctx.Err() != nil
	last, end := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer end()
	b.endSession(last)
	if stopped {
		return nil // told to stop, or nobody reads any more
	}
	return err
}

// endTimeout is how long the gateway may take to hear that a session ends.
const endTimeout = 2 * time.Second

// line sends a message, or in a session a batch of them: the gateway knows whether the
// session has batches.
func (b *Bridge) line(ctx context.Context, text []byte) error {
	if text[0] == '[' && b.legacy() {
		messages, f := protocol.ParseBatch(text)
		if f != nil {
			return b.out.Write(protocol.EncodeFault(nil, f))
		}
		b.concurrently(ctx, false, func(ctx context.Context) { b.batch(ctx, text, messages) })
		return nil
	}
	m, f := protocol.Parse(text)
	if f != nil {
		return b.out.Write(protocol.EncodeFault(m.ID, f))
	}
	b.message(ctx, text, &m)
	return nil
}

// message sends a message. What changes the session is waited for, the rest runs
// beside each other.
func (b *Bridge) message(ctx context.Context, line []byte, m *protocol.Message) {
	switch {
	case m.Method == "notifications/cancelled":
		b.cancel(m)
		b.send(ctx, line, m)
	case m.ID == nil, m.IsResponse(), m.Method == "initialize":
		b.send(ctx, line, m)
	default:
		key := string(m.ID)
		ctx, cancel := context.WithCancel(ctx)
		b.mu.Lock()
		b.running[key] = cancel
		b.mu.Unlock()
		b.concurrently(ctx, m.Method == protocol.MethodListen, func(ctx context.Context) {
			defer cancel()
			b.send(ctx, line, m)
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.running, key)
		})
	}
	if m.Method == "notifications/initialized" && b.legacy() {
		b.wg.Go(func() { b.stream(ctx) })
	}
}

// concurrently runs f in a goroutine. Serve waits at its end for those that are no streams.
func (b *Bridge) concurrently(ctx context.Context, stream bool, f func(context.Context)) {
	ends := func() {}
	if !stream {
		b.requests.Add(1)
		ends = b.requests.Done
	}
	b.wg.Go(func() {
		defer ends()
		f(ctx)
	})
}

// cancel ends a request here; in the modern era that is all that there is to do.
func (b *Bridge) cancel(m *protocol.Message) {
	p := protocol.Reader{O: m.Params}
	id := p.Value("requestId")
	b.mu.Lock()
	defer b.mu.Unlock()
	if stop := b.running[string(id)]; stop != nil {
		stop()
	}
}

// send posts one message and writes what comes back. A failure is the answer to a
// request.
func (b *Bridge) send(ctx context.Context, line []byte, m *protocol.Message) {
	f := b.failure(ctx, b.post(ctx, line, m))
	if f == nil || m.ID == nil || m.IsResponse() {
		return
	}
	_ = b.out.Write(protocol.EncodeFault(m.ID, f)) // the client has gone when this fails
}

// failure reports what came of a message, and returns the failure that the client is
// told, nil for none.
func (b *Bridge) failure(ctx context.Context, err error) *protocol.Fault {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // who would be told has gone
	}
	if b.Report != nil {
		b.Report(err)
	}
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*protocol.Fault](err); ok {
		return f
	}
	return &protocol.Fault{Code: protocol.CodeCall, Msg: err.Error()}
}

// post sends a message and copies what comes back.
func (b *Bridge) post(ctx context.Context, line []byte, m *protocol.Message) error {
	resp, err := b.inSession(ctx, line, m)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b.remember(line, m, resp)
	return b.copy(resp, m)
}

// inSession posts a message, and posts it again in a new session when the gateway does
// not know the session any more.
func (b *Bridge) inSession(ctx context.Context, line []byte, m *protocol.Message) (*http.Response, error) {
	used := b.current()
	resp, err := b.exchange(ctx, line, m)
	if err != nil || !sessionUnknown(resp) {
		return resp, err
	}
	_ = resp.Body.Close()
	if err := b.newSession(ctx, used); err != nil {
		return nil, err
	}
	return b.exchange(ctx, line, m)
}

// exchange posts one message.
func (b *Bridge) exchange(ctx context.Context, line []byte, m *protocol.Message) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.endpoint(m), bytes.NewReader(line))
	if err != nil {
		return nil, unreachable(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	b.label(req.Header, m)
	return b.do(req)
}

func (b *Bridge) do(req *http.Request) (*http.Response, error) {
	if err := b.Sign(req); err != nil {
		return nil, err
	}
	resp, err := b.Client.Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	return resp, nil
}

// endpoint is where a message goes: one that belongs to no session and names no
// revision is plain JSON-RPC.
func (b *Bridge) endpoint(m *protocol.Message) string {
	if b.legacy() || m.Method == "initialize" || m.Meta.Version != "" {
		return b.URL
	}
	return b.URL + "/rpc"
}

// label sets the headers of the message's era.
func (b *Bridge) label(h http.Header, m *protocol.Message) {
	maps.Copy(h, b.Header)
	if m.Meta.Version != "" {
		h.Set("MCP-Protocol-Version", m.Meta.Version)
		h.Set("Mcp-Method", m.Method)
		if name, ok := protocol.RoutedName(m); ok {
			h.Set("Mcp-Name", protocol.EncodeHeader(name))
		}
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.session != "" && m.Method != "initialize" {
		h.Set(protocol.HeaderSession, b.session)
	}
}

func (b *Bridge) legacy() bool { return b.current() != "" }

// current is the session's id, empty when there is none.
func (b *Bridge) current() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.session
}

// copy writes the messages of a reply, which is a message or a stream of messages. A
// reply without the answer to the request is a failure: no other reply comes.
func (b *Bridge) copy(resp *http.Response, m *protocol.Message) error {
	request := m.ID != nil && !m.IsResponse()
	if resp.StatusCode < 300 && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		answered := false
		_, err := b.copyStream(resp.Body, func(msg []byte) { answered = answered || answers(msg, m) })
		switch {
		case err == nil && (answered || !request):
			return nil
		case m.Method == protocol.MethodListen:
			return bridgeFault(noGateway, "the stream from the gateway broke: listen again")
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
		return b.out.Write(line)
	case request, resp.StatusCode >= 300:
		return b.refusal(resp, body)
	}
	return nil
}

// copyStream writes the messages of a stream, each of which see is shown, and returns
// the last id in it.
func (b *Bridge) copyStream(body io.Reader, see func([]byte)) (last string, err error) {
	s := bufio.NewScanner(body)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		if id, ok := strings.CutPrefix(s.Text(), "id: "); ok {
			last = id
		}
		if data, ok := bytes.CutPrefix(s.Bytes(), []byte("data: ")); ok && len(data) > 0 {
			see(data)
			if err := b.out.Write(bytes.Clone(data)); err != nil {
				return last, err
			}
		}
	}
	return last, s.Err()
}

func (b *Bridge) endSession(ctx context.Context) {
	if !b.legacy() {
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, b.URL, nil)
	if err != nil {
		return
	}
	b.label(req.Header, &protocol.Message{})
	if resp, err := b.do(req); err == nil {
		_ = resp.Body.Close()
	}
}
