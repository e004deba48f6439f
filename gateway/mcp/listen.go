package mcp

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"

	"portcullis/gateway/mcp/protocol"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

// listening is one subscriptions/listen stream.
type listening struct {
	ex     *Exchange
	topics topics
	kinds  []events.Kind
	ack    map[string]any
	send   func([]byte) error
	alive  func() error // sends a keep-alive
}

// listen answers subscriptions/listen and returns when the stream ends. The reply
// is nil when there is nothing more to say.
func (ex *Exchange) listen(ctx context.Context, send func([]byte) error, alive func() error) ([]byte, *protocol.Fault) {
	if ex.server.Events == nil {
		return nil, protocol.UnknownMethod()
	}
	r := protocol.Reader{O: ex.msg.Params}
	to := readListen(&r)
	if r.Err != nil {
		return nil, ex.unreadable(ctx, protocol.InvalidParams("params: "+r.Err.Error()))
	}
	if len(to.uris) > ex.server.Events.Topics {
		return nil, ex.unreadable(ctx, protocol.InvalidParams("too many subscriptions"))
	}
	l := &listening{ex: ex, topics: topics{}, ack: map[string]any{}, send: send, alive: alive}
	var end func()
	var rd *events.Reader
	err := ex.pay(ctx, asEvent, func(ctx context.Context) (err error) { rd, end, err = l.open(ctx, to); return err })
	if err != nil {
		return nil, streamRefusal(err)
	}
	defer end()
	if l.notify("notifications/subscriptions/acknowledged", map[string]any{"notifications": l.ack}) != nil {
		return nil, nil
	}
	return l.pump(ctx, rd), nil
}

// open subscribes to what will be honoured, until end is called.
func (l *listening) open(ctx context.Context, to listenTo) (rd *events.Reader, end func(), err error) {
	l.honour(ctx, to)
	s := l.ex.server
	release, err := s.Budgets.Reserve(budget.Of(l.ex.Caller), budget.Kept, int64(l.topics.size()))
	if err != nil {
		return nil, nil, tooManySubscriptions()
	}
	rd, err = s.Events.Subscribe(l.ex.Caller, "listen", l.topics.filter(l.kinds...), "")
	if err != nil {
		release()
		return nil, nil, err
	}
	return rd, func() { rd.Close(); release() }, nil
}

// streamRefusal refuses a stream for an error of whatever kind.
func streamRefusal(err error) *protocol.Fault {
	if f, ok := errors.AsType[*protocol.Fault](err); ok {
		return f
	}
	return streamFault(call.AsError(err))
}

// streamFault refuses a stream; the caps have HTTP statuses of their own.
func streamFault(e *call.Error) *protocol.Fault {
	f := protocol.Answer{}.Fault(e)
	switch e.Code {
	case call.RateLimited:
		f.Status = http.StatusTooManyRequests
	case call.Overloaded, call.AuditUnavailable:
		f.Status = http.StatusServiceUnavailable
	case call.Unauthenticated:
		f.Status = http.StatusUnauthorized
	}
	if wait := e.Wait(); wait > 0 {
		f.Header = http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(wait.Seconds())))}}
	}
	return f
}

// listenTo are the params of subscriptions/listen.
type listenTo struct {
	tools, prompts bool
	resources      bool // resourceSubscriptions are there
	uris           []string
}

func readListen(r *protocol.Reader) listenTo {
	if r.Value("notifications") == nil {
		r.Fail("%s is missing", "notifications")
	}
	n := protocol.Reader{O: r.Object("notifications"), Err: r.Err}
	l := listenTo{tools: n.Flag("toolsListChanged"), prompts: n.Flag("promptsListChanged")}
	n.Value("resourcesListChanged")
	l.resources, l.uris = n.Value("resourceSubscriptions") != nil, n.Texts("resourceSubscriptions")
	r.Err = n.Err
	return l
}

// honour keeps what will be honoured. Resources that the caller may not receive are
// left out without a word.
func (l *listening) honour(ctx context.Context, to listenTo) {
	l.kinds = []events.Kind{events.ResourceChanged}
	if to.tools {
		l.kinds, l.ack["toolsListChanged"] = append(l.kinds, events.ToolsChanged), true
	}
	if to.prompts {
		l.kinds, l.ack["promptsListChanged"] = append(l.kinds, events.PromptsChanged), true
	}
	if !to.resources {
		return
	}
	honoured := []string{}
	for _, uri := range to.uris {
		if t, ok := l.ex.topic(ctx, uri); ok {
			l.topics[uri] = t
			honoured = append(honoured, uri)
		}
	}
	l.ack["resourceSubscriptions"] = honoured
}

// notify sends a notification with the stream's id.
func (l *listening) notify(method string, params map[string]any) error {
	m, _ := params["_meta"].(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	m[protocol.MetaSubscription] = l.ex.msg.ID
	params["_meta"] = m
	return l.send(protocol.Notification(method, params))
}

// pump sends events until the stream ends, and returns the graceful end.
func (l *listening) pump(ctx context.Context, rd *events.Reader) []byte {
	for {
		e, _, err := rd.Next(ctx, l.ex.server.KeepAlive)
		switch {
		case err == nil:
			if method, params := l.topics.notice(e); method != "" {
				err = l.notify(method, params)
			}
		case errors.Is(err, events.ErrIdle):
			err = l.alive()
		case errors.Is(err, events.ErrSlow) || ctx.Err() != nil:
			return nil
		default:
			l.farewell(err)
			return l.end()
		}
		if err != nil {
			return nil
		}
	}
}

// farewell tells, when the policy has changed, that the lists may have as well.
func (l *listening) farewell(why error) {
	if !errors.Is(why, events.ErrReloaded) {
		return
	}
	for _, k := range l.kinds[1:] {
		method, params := l.topics.notice(&events.Event{Kind: k})
		_ = l.notify(method, params)
	}
}

// end is the result of a stream that the server has ended.
func (l *listening) end() []byte {
	b := append([]byte(`{"jsonrpc":"2.0","id":`), l.ex.msg.ID...)
	b = append(b, `,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":`...)
	b = append(b, l.ex.server.info...)
	b = append(append(b, `,"`+protocol.MetaSubscription+`":`...), l.ex.msg.ID...)
	return append(b, "}}}"...)
}

// serveListen answers subscriptions/listen over HTTP.
func (s *Server) serveListen(w http.ResponseWriter, r *http.Request, ex *Exchange) {
	if !accepts(r, "text/event-stream") {
		s.refuse(w, r, ex, &protocol.Fault{Code: protocol.CodeInvalidRequest, Msg: "accept text/event-stream", Status: http.StatusNotAcceptable})
		return
	}
	if err := ex.behalf(r.Context()); err != nil {
		s.writeFault(w, ex.msg.ID, ex.faultOf(err))
		return
	}
	st := newStream(w, s.Limits.WriteTimeout)
	defer st.End()
	reply, f := ex.listen(r.Context(), st.message, st.comment)
	if f != nil {
		s.writeFault(w, ex.msg.ID, f)
		return
	}
	if reply != nil {
		_ = st.message(reply)
	}
}
