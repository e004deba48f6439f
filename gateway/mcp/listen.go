package mcp

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

// methodListen opens a stream of notifications (MCP 2026-07-28, subscriptions).
const methodListen = "subscriptions/listen"

// listening is one subscriptions/listen stream.
type listening struct {
	ex     *Exchange
	topics topics
	kinds  []events.Kind
	ack    map[string]any
	send   func([]byte) error
	alive  func() error // a sign of life
}

// listen answers subscriptions/listen and returns when the stream ends. The reply
// is nil when there is nothing more to say.
func (ex *Exchange) listen(ctx context.Context, send func([]byte) error, alive func() error) ([]byte, *Fault) {
	if ex.server.Events == nil {
		return nil, unknownMethod()
	}
	l := &listening{ex: ex, topics: topics{}, ack: map[string]any{}, send: send, alive: alive}
	if f := l.read(ctx); f != nil {
		return nil, f
	}
	rd, err := ex.server.Events.Subscribe(ex.Caller, "listen", l.topics.filter(l.kinds...), "")
	if err != nil {
		return nil, streamFault(call.AsError(err))
	}
	defer rd.Close()
	if l.notify("notifications/subscriptions/acknowledged", map[string]any{"notifications": l.ack}) != nil {
		return nil, nil
	}
	return l.pump(ctx, rd), nil
}

// streamFault refuses a stream; the caps have HTTP statuses of their own.
func streamFault(e *call.Error) *Fault {
	f := answer{}.fault(e)
	switch e.Code {
	case call.RateLimited:
		f.status = http.StatusTooManyRequests
	case call.Overloaded:
		f.status = http.StatusServiceUnavailable
	case call.Unauthenticated:
		f.status = http.StatusUnauthorized
	}
	if wait := e.Wait(); wait > 0 {
		f.header = http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(wait.Seconds())))}}
	}
	return f
}

// read reads the filter and keeps what will be honoured. Resources that the
// caller may not hear of are left out without a word.
func (l *listening) read(ctx context.Context) *Fault {
	p, err := fields(l.ex.msg.params, "notifications", "_meta")
	if err != nil {
		return invalidParams("params: " + err.Error())
	}
	f, err := fields(p[0], "toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions")
	if err != nil || p[0] == nil {
		return invalidParams("the notifications to listen to are missing")
	}
	l.kinds = []events.Kind{events.ResourceChanged}
	for i, k := range []events.Kind{events.ToolsChanged, events.PromptsChanged} {
		switch f[i].Kind() {
		case 't':
			l.kinds = append(l.kinds, k)
			l.ack[[]string{"toolsListChanged", "promptsListChanged"}[i]] = true
		case 0, 'f':
		default:
			return invalidParams("notifications are not as the protocol has them")
		}
	}
	return l.readResources(ctx, f[3])
}

func (l *listening) readResources(ctx context.Context, raw jsontext.Value) *Fault {
	if raw == nil {
		return nil
	}
	uris, ok := texts(raw)
	if !ok {
		return invalidParams("resourceSubscriptions must be a list of URIs")
	}
	if len(uris) > l.ex.server.Events.Topics {
		return invalidParams("too many subscriptions")
	}
	honoured := []string{}
	for _, uri := range uris {
		if t, ok := l.ex.topic(ctx, uri); ok {
			l.topics[uri] = t
			honoured = append(honoured, uri)
		}
	}
	l.ack["resourceSubscriptions"] = honoured
	return nil
}

// notify sends a notification with the stream's id.
func (l *listening) notify(method string, params map[string]any) error {
	m, _ := params["_meta"].(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	m[metaSubscription] = l.ex.msg.id
	params["_meta"] = m
	return l.send(notification(method, params))
}

// pump sends events until the stream ends, and returns the graceful end.
func (l *listening) pump(ctx context.Context, rd *events.Reader) []byte {
	for {
		e, _, err := rd.Next(ctx, l.ex.server.KeepAlive)
		switch {
		case err == nil:
			if method, params := l.topics.notice(&e); method != "" {
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
	b := append([]byte(`{"jsonrpc":"2.0","id":`), l.ex.msg.id...)
	b = append(b, `,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":`...)
	b = append(b, l.ex.server.info...)
	b = append(append(b, `,"`+metaSubscription+`":`...), l.ex.msg.id...)
	return append(b, "}}}"...)
}

// serveListen answers subscriptions/listen over HTTP.
func (s *Server) serveListen(w http.ResponseWriter, r *http.Request, ex *Exchange) {
	if !accepts(r, "text/event-stream") {
		s.writeFault(w, ex.msg.id, &Fault{Code: CodeInvalidRequest, Msg: "accept text/event-stream", status: http.StatusNotAcceptable})
		return
	}
	st := newStream(w, s.Limits.WriteTimeout)
	defer st.end()
	reply, f := ex.listen(r.Context(), st.message, st.comment)
	if f != nil {
		s.writeFault(w, ex.msg.id, f)
		return
	}
	if reply != nil {
		_ = st.message(reply)
	}
}
