package mcp

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/op"
)

// maxRunning bounds the requests of one stdio client that run at once.
const maxRunning = 64

// Stdio serves one client on a pair of streams: one message in a line (MCP,
// transports, stdio). Both eras and plain JSON-RPC may be mixed.
type Stdio struct {
	Server *Server
	// Who authenticates, before each message: a credential that has been revoked
	// ends what it was good for.
	Who func() (*call.Caller, error)
	Out io.Writer

	// View is the part of the tools that the client is shown.
	View View

	out     *output
	session *session      // for cancellation, and of initialize
	open    bool          // initialize has been answered
	slots   chan struct{} // of the requests that run
	wg      sync.WaitGroup

	requests sync.WaitGroup // those that end by themselves
}

// lastAnswers is how long requests may run on when the client says nothing more: it
// may still read.
const lastAnswers = 10 * time.Second

// drain waits for requests, as long as ctx lives.
func drain(ctx context.Context, requests *sync.WaitGroup) {
	ctx, cancel := context.WithTimeout(ctx, lastAnswers)
	go func() {
		defer cancel()
		requests.Wait()
	}()
	<-ctx.Done()
}

// Serve answers messages until in ends, the reader of Out has gone or ctx ends.
// Streams end then, and what is not answered soon is cancelled.
func (st *Stdio) Serve(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer st.wg.Wait()
	defer cancel()
	st.out = &output{w: st.Out, gone: cancel}
	st.session = &session{
		running: map[string]context.CancelFunc{}, asked: map[string]chan *message{}, holds: map[string]func(){}, kept: func() {},
	}
	defer st.session.end()
	st.slots = make(chan struct{}, maxRunning)
	err := eachLine(ctx, in, func(l line) error {
		if l.tooLong {
			return st.fault(l.id, tooLong())
		}
		return st.line(ctx, l.text)
	})
	if ctx.Err() != nil {
		return nil // told to stop, or nobody reads any more
	}
	if err == nil {
		drain(ctx, &st.requests)
	}
	return err
}

// line answers a message, or a batch of them in a session of the revision that has
// batches.
func (st *Stdio) line(ctx context.Context, text []byte) error {
	if text[0] == '[' && st.open && st.session.version == batched {
		return st.batch(ctx, text)
	}
	return st.message(ctx, text)
}

// message answers one message. Requests run beside each other.
func (st *Stdio) message(ctx context.Context, text []byte) error {
	m, bad := parse(text)
	ex, f := st.exchange(&m)
	if f == nil && bad != nil {
		f = ex.unreadable(ctx, bad)
	}
	if f != nil {
		if bad == nil && (m.isNotification() || m.isResponse()) {
			return nil // neither is ever answered
		}
		return st.fault(m.id, f)
	}
	switch {
	case m.isResponse():
		st.session.deliver(&m)
		return nil
	case m.isNotification():
		if m.method == "notifications/cancelled" {
			st.session.cancel(m.params)
		}
		return nil
	case m.method == "initialize":
		return st.initialize(ctx, ex)
	}
	ctx, cancel := context.WithCancel(ctx)
	done, f := st.session.begin(m.id, cancel)
	if f != nil {
		cancel()
		return st.fault(m.id, f)
	}
	st.run(ctx, m.method == methodListen, func() {
		defer cancel()
		defer done()
		st.reply(ctx, ex)
	})
	return nil
}

// run runs f beside others. Streams stay, and have bounds of their own.
func (st *Stdio) run(ctx context.Context, stream bool, f func()) {
	if stream {
		st.wg.Go(f)
		return
	}
	select {
	case st.slots <- struct{}{}:
	case <-ctx.Done():
		f() // which sees that it is over
		return
	}
	st.requests.Add(1)
	st.wg.Go(func() {
		defer st.requests.Done()
		defer func() { <-st.slots }()
		f()
	})
}

// batch answers the messages of a batch, one after the other.
func (st *Stdio) batch(ctx context.Context, text []byte) error {
	messages, f := parseBatch(text)
	if f != nil {
		if ex, who := st.exchange(&message{}); who == nil {
			f = ex.unreadable(ctx, f)
		}
		return st.fault(nil, f)
	}
	st.run(ctx, false, func() {
		var replies []jsontext.Value
		for i := range messages {
			if reply := st.inBatch(ctx, &messages[i]); reply != nil {
				replies = append(replies, reply)
			}
		}
		if replies != nil && ctx.Err() == nil {
			_ = st.out.write(mustJSON(replies))
		}
	})
	return nil
}

func (st *Stdio) inBatch(ctx context.Context, m *message) jsontext.Value {
	ex, f := st.exchange(m)
	switch {
	case f == nil:
		return ex.inBatch(ctx)
	case m.isResponse() || m.isNotification():
		return nil
	}
	return encodeFault(m.id, f)
}

// exchange makes the exchange of a message: who sends it, and in which era.
func (st *Stdio) exchange(m *message) (*Exchange, *Fault) {
	who, err := st.Who()
	if err != nil {
		e := call.AsError(err)
		return nil, &Fault{Code: CodeCall, Msg: e.Msg, Data: answer{}.wireError(e)}
	}
	ex := &Exchange{
		Caller: who, server: st.Server, msg: m, era: plain, version: legacyVersions()[0], capabilities: m.meta.capabilities,
		view: st.View, requestID: rand.Text(), transport: op.Stdio, send: st.out.write,
	}
	switch {
	case m.meta.version != "":
		ex.era, ex.version = modern, modernVersion
		return ex, checkModern(nil, m, false)
	case st.open:
		ex.join(st.session)
	}
	return ex, nil
}

// initialize begins the legacy session of the connection, and its stream.
func (st *Stdio) initialize(ctx context.Context, ex *Exchange) error {
	if st.open {
		return st.fault(ex.msg.id, badRequest(CodeInvalidRequest, "initialize comes once"))
	}
	p := reader{o: ex.msg.params}
	h := readHello(&p)
	if p.err != nil {
		return st.fault(ex.msg.id, ex.unreadable(ctx, invalidParams("params: "+p.err.Error())))
	}
	sess := ex.negotiate(h)
	st.session.owner, st.session.version, st.session.capabilities = sess.owner, sess.version, sess.capabilities
	st.session.client = sess.client
	st.open = true
	ex.join(st.session)
	if st.Server.Events != nil {
		st.session.cursor = st.Server.Events.Now(ex.Caller, st.session.id) // nothing is lost before the stream begins
		st.wg.Go(func() { st.stream(ctx) })
	}
	body, f := ex.answer(ctx)
	if f != nil {
		return st.fault(ex.msg.id, f)
	}
	return st.out.write(body)
}

// reply answers a request. A cancelled one is not answered.
func (st *Stdio) reply(ctx context.Context, ex *Exchange) {
	var body []byte
	var f *Fault
	if ex.era == modern && ex.msg.method == methodListen {
		body, f = ex.listen(ctx, st.out.write, func() error { return nil })
	} else {
		body, f = ex.answer(ctx)
	}
	switch {
	case ctx.Err() != nil:
	case f != nil:
		_ = st.fault(ex.msg.id, f) // the client has gone when this fails
	case body != nil:
		_ = st.out.write(body)
	}
}

// stream writes the notifications of the legacy session. It begins again after a
// reload of the policy, and ends with the credential.
func (st *Stdio) stream(ctx context.Context) {
	for ctx.Err() == nil {
		who, err := st.Who()
		if err != nil {
			return
		}
		rd, f := st.session.attach(st.Server.Events, who, "", func() {})
		if f != nil {
			return
		}
		err = st.pump(ctx, rd)
		st.session.detach(rd)
		if !errors.Is(err, events.ErrReloaded) && !errors.Is(err, events.ErrSlow) {
			return
		}
		_ = st.out.write(notification("notifications/tools/list_changed", nil))
		_ = st.out.write(notification("notifications/prompts/list_changed", nil))
	}
}

func (st *Stdio) pump(ctx context.Context, rd *events.Reader) error {
	for {
		e, _, err := rd.Next(ctx, time.Minute)
		if errors.Is(err, events.ErrIdle) {
			continue
		}
		if err != nil {
			return err
		}
		if method, params := st.session.noticeOf(&e); method != "" {
			if err := st.out.write(notification(method, params)); err != nil {
				return err
			}
		}
	}
}

func (st *Stdio) fault(id jsontext.Value, f *Fault) error { return st.out.write(encodeFault(id, f)) }
