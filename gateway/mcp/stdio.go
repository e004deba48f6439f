package mcp

import (
	"bufio"
	"bytes"
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

// maxLine bounds one message on stdin, in bytes.
const maxLine = 1 << 20

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

	mu      sync.Mutex // guards writes to Out
	session *session   // for cancellation, and of initialize
	open    bool       // initialize has been answered
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

// Serve answers messages until in ends or ctx does. Streams end then, and what is
// not answered soon is cancelled.
func (st *Stdio) Serve(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer st.wg.Wait()
	defer cancel()
	st.session = &session{running: map[string]context.CancelFunc{}, asked: map[string]chan *message{}}
	slots := make(chan struct{}, maxRunning)
	err := eachLine(in, func(line []byte) error {
		if line == nil {
			return st.fault(nil, badRequest(CodeParse, "the message is too long"))
		}
		return st.message(ctx, line, slots)
	})
	if err == nil {
		drain(ctx, &st.requests)
	}
	return err
}

// eachLine calls f with each line that is not empty, and with nil for one that is
// too long.
func eachLine(in io.Reader, f func([]byte) error) error {
	r := bufio.NewReaderSize(in, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		tooLong := false
		for errors.Is(err, bufio.ErrBufferFull) {
			tooLong = true
			_, err = r.ReadSlice('\n')
		}
		var ferr error
		if tooLong {
			ferr = f(nil)
		} else if line = bytes.TrimSpace(line); len(line) > 0 {
			ferr = f(bytes.Clone(line))
		}
		if ferr != nil {
			return ferr
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// message answers one message. Requests run beside each other.
func (st *Stdio) message(ctx context.Context, line []byte, slots chan struct{}) error {
	m, bad := parse(line)
	ex, f := st.exchange(&m, bad)
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
	ends := func() {}
	if m.method != methodListen { // streams stay, and have bounds of their own
		slots <- struct{}{}
		st.requests.Add(1)
		ends = func() { <-slots; st.requests.Done() }
	}
	st.wg.Go(func() {
		defer ends()
		defer cancel()
		defer done()
		st.reply(ctx, ex)
	})
	return nil
}

// exchange makes the exchange of a message: who sends it, and in which era.
func (st *Stdio) exchange(m *message, f *Fault) (*Exchange, *Fault) {
	if f != nil {
		return nil, f
	}
	who, err := st.Who()
	if err != nil {
		e := call.AsError(err)
		return nil, &Fault{Code: CodeCall, Msg: e.Msg, Data: answer{}.wireError(e)}
	}
	ex := &Exchange{
		Caller: who, server: st.Server, msg: m, era: plain, version: legacyVersions()[0],
		requestID: rand.Text(), transport: op.Stdio, send: st.write,
	}
	if ex.meta, f = readMeta(m.params); f != nil {
		return nil, f
	}
	switch {
	case ex.meta.version != "":
		ex.era, ex.version = modern, modernVersion
		return ex, checkModern(nil, m, ex.meta, false)
	case st.open:
		ex.era, ex.session, ex.version = legacy, st.session, st.session.version
		ex.meta.clientName, ex.meta.capabilities = st.session.clientName, st.session.capabilities
	}
	return ex, nil
}

// initialize begins the legacy session of the connection, and its stream.
func (st *Stdio) initialize(ctx context.Context, ex *Exchange) error {
	if st.open {
		return st.fault(ex.msg.id, badRequest(CodeInvalidRequest, "initialize comes once"))
	}
	sess, err := ex.negotiate(ex.msg.params)
	if err != nil {
		return st.fault(ex.msg.id, ex.faultOf(err))
	}
	st.session.version, st.session.clientName, st.session.capabilities = sess.version, sess.clientName, sess.capabilities
	st.open, ex.session, ex.era, ex.version = true, st.session, legacy, sess.version
	if st.Server.Events != nil {
		st.session.cursor = st.Server.Events.Now(ex.Caller, st.session.id) // nothing is lost before the stream begins
		st.wg.Go(func() { st.stream(ctx) })
	}
	body, f := ex.answer(ctx)
	if f != nil {
		return st.fault(ex.msg.id, f)
	}
	return st.write(body)
}

// reply answers a request. A cancelled one is not answered.
func (st *Stdio) reply(ctx context.Context, ex *Exchange) {
	var body []byte
	var f *Fault
	if ex.era == modern && ex.msg.method == methodListen {
		body, f = ex.listen(ctx, st.write, func() error { return nil })
	} else {
		body, f = ex.answer(ctx)
	}
	switch {
	case ctx.Err() != nil:
	case f != nil:
		_ = st.fault(ex.msg.id, f) // the client has gone when this fails
	case body != nil:
		_ = st.write(body)
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
		_ = st.write(notification("notifications/tools/list_changed", nil))
		_ = st.write(notification("notifications/prompts/list_changed", nil))
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
			if err := st.write(notification(method, params)); err != nil {
				return err
			}
		}
	}
}

func (st *Stdio) fault(id jsontext.Value, f *Fault) error { return st.write(encodeFault(id, f)) }

// write writes one message as a line.
func (st *Stdio) write(msg []byte) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	_, err := st.Out.Write(append(msg, '\n'))
	return err
}
