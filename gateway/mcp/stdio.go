package mcp

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"time"

	"portcullis/gateway/mcp/protocol"

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

	out     *protocol.Output
	session *session      // for cancellation, and of initialize
	open    bool          // initialize has been answered
	slots   chan struct{} // of the requests that run
	wg      sync.WaitGroup

	requests sync.WaitGroup // those that end by themselves
}

// Serve answers messages until in ends, the reader of Out has gone or ctx ends.
// Streams end then, and what is not answered soon is cancelled.
func (st *Stdio) Serve(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer st.wg.Wait()
	defer cancel()
	st.out = &protocol.Output{W: st.Out, Gone: cancel}
	st.session = &session{
		running: map[string]context.CancelFunc{}, asked: map[string]chan *protocol.Message{}, holds: map[string]func(){}, kept: func() {},
	}
	defer st.session.end()
	st.slots = make(chan struct{}, maxRunning)
	err := protocol.EachLine(ctx, in, func(l protocol.Line) error {
		if l.TooLong {
			return st.fault(l.ID, protocol.TooLong())
		}
		return st.line(ctx, l.Text)
	})
	if ctx.Err() != nil {
		return nil // told to stop, or nobody reads any more
	}
	if err == nil {
		protocol.Drain(ctx, &st.requests)
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
	m, bad := protocol.Parse(text)
	ex, f := st.exchange(&m)
	if f == nil && bad != nil {
		f = ex.unreadable(ctx, bad)
	}
	if f != nil {
		if bad == nil && (m.IsNotification() || m.IsResponse()) {
			return nil // neither is ever answered
		}
		return st.fault(m.ID, f)
	}
	switch {
	case m.IsResponse() || m.IsNotification():
		return ex.pass(ctx, st.session)
	case m.Method == "initialize":
		return st.initialize(ctx, ex)
	}
	ctx, cancel := context.WithCancel(ctx)
	done, f := st.session.begin(m.ID, cancel)
	if f != nil {
		cancel()
		return st.fault(m.ID, f)
	}
	st.run(ctx, m.Method == protocol.MethodListen, func() {
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
	messages, f := protocol.ParseBatch(text)
	if f != nil {
		if ex, who := st.exchange(&protocol.Message{}); who == nil {
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
			_ = st.out.Write(protocol.MustJSON(replies))
		}
	})
	return nil
}

func (st *Stdio) inBatch(ctx context.Context, m *protocol.Message) jsontext.Value {
	ex, f := st.exchange(m)
	switch {
	case f == nil:
		_ = ex.pass(ctx, st.session) // it is of this process alone
		return ex.inBatch(ctx)
	case m.IsResponse() || m.IsNotification():
		return nil
	}
	return protocol.EncodeFault(m.ID, f)
}

// exchange makes the exchange of a message: who sends it, and in which era.
func (st *Stdio) exchange(m *protocol.Message) (*Exchange, *protocol.Fault) {
	who, err := st.Who()
	if err != nil {
		e := call.AsError(err)
		return nil, &protocol.Fault{Code: protocol.CodeCall, Msg: e.Msg, Data: protocol.Answer{}.WireError(e)}
	}
	ex := &Exchange{
		Caller: who, server: st.Server, msg: m, era: plain, version: protocol.LegacyVersions()[0], capabilities: m.Meta.Capabilities,
		view: st.View, requestID: rand.Text(), transport: op.Stdio, send: st.out.Write,
	}
	switch {
	case m.Meta.Version != "":
		ex.era, ex.version = modern, protocol.ModernVersion
		return ex, checkModern(nil, m, false)
	case st.open:
		ex.join(st.session)
	}
	return ex, nil
}

// initialize begins the legacy session of the connection, and its stream.
func (st *Stdio) initialize(ctx context.Context, ex *Exchange) error {
	if st.open {
		return st.fault(ex.msg.ID, protocol.BadRequest(protocol.CodeInvalidRequest, "initialize comes once"))
	}
	if err := ex.behalf(ctx); err != nil {
		return st.fault(ex.msg.ID, ex.faultOf(err))
	}
	p := protocol.Reader{O: ex.msg.Params}
	h := readHello(&p)
	if p.Err != nil {
		return st.fault(ex.msg.ID, ex.unreadable(ctx, protocol.InvalidParams("params: "+p.Err.Error())))
	}
	err := ex.pay(ctx, asEvent, func(context.Context) error {
		st.begin(ctx, ex, ex.negotiate(h))
		return nil
	})
	if err != nil {
		return st.fault(ex.msg.ID, ex.faultOf(err))
	}
	body, f := ex.answer(ctx)
	if f != nil {
		return st.fault(ex.msg.ID, f)
	}
	return st.out.Write(body)
}

// begin opens the session, whose stream lasts as long as ctx.
func (st *Stdio) begin(ctx context.Context, ex *Exchange, agreed *session) {
	st.session.owner, st.session.version, st.session.capabilities = agreed.owner, agreed.version, agreed.capabilities
	st.session.client = agreed.client
	st.open = true
	ex.join(st.session)
	if st.Server.Events != nil {
		st.session.cursor = st.Server.Events.Now(ex.Caller, st.session.id) // nothing is lost before the stream begins
		st.wg.Go(func() { st.stream(ctx) })
	}
}

// reply answers a request. A cancelled one is not answered.
func (st *Stdio) reply(ctx context.Context, ex *Exchange) {
	var body []byte
	var f *protocol.Fault
	if ex.era == modern && ex.msg.Method == protocol.MethodListen {
		body, f = ex.listen(ctx, st.out.Write, func() error { return nil })
	} else {
		body, f = ex.answer(ctx)
	}
	switch {
	case ctx.Err() != nil:
	case f != nil:
		_ = st.fault(ex.msg.ID, f) // the client has gone when this fails
	case body != nil:
		_ = st.out.Write(body)
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
		_ = st.out.Write(protocol.Notification("notifications/tools/list_changed", nil))
		_ = st.out.Write(protocol.Notification("notifications/prompts/list_changed", nil))
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
		if method, params := st.session.noticeOf(e); method != "" {
			if err := st.out.Write(protocol.Notification(method, params)); err != nil {
				return err
			}
		}
	}
}

func (st *Stdio) fault(id jsontext.Value, f *protocol.Fault) error {
	return st.out.Write(protocol.EncodeFault(id, f))
}
