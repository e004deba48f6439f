package mcp

import (
	"context"
	"fmt"
	"net/http"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// era is the family of protocol revisions that a message belongs to.
type era int

const (
	plain  era = 1 << iota // /mcp/rpc: no handshake, no session, nothing required
	legacy                 // initialize and sessions
	modern                 // stateless, everything in _meta
	every  = plain | legacy | modern
	older  = plain | legacy
)

// Exchange is one request while it is answered.
type Exchange struct {
	Caller       *call.Caller
	server       *Server
	msg          *protocol.Message
	era          era
	version      string // protocol revision
	capabilities protocol.Capabilities
	view         View
	session      *session // nil but for legacy exchanges
	requestID    string
	http         *http.Request // nil on stdio
	transport    op.Transport
	room         func(bytes int64) error // of the caller's share, until the reply has left; nil on stdio
	admitted     bool
	input        Input
	send         func(message []byte) error // writes a message before the reply, nil when there is no way
}

// join makes the exchange one of a session.
func (ex *Exchange) join(s *session) {
	ex.era, ex.session, ex.version, ex.capabilities = legacy, s, s.version, s.capabilities
}

// result is a reply's content.
type result struct {
	body  jsontext.Value // JSON object without resultType, _meta and caching hints
	kind  string         // resultType, empty for "complete"
	cache bool           // carries caching hints (MCP 2026-07-28, caching)
}

// answer runs a request and returns the whole reply. A panic is the answer of
// this request alone.
func (ex *Exchange) answer(ctx context.Context) (reply []byte, f *protocol.Fault) {
	defer func() {
		if v := recover(); v != nil {
			f = &protocol.Fault{Code: protocol.CodeInternal, Msg: "internal error", Status: http.StatusInternalServerError}
			ex.server.failed(fmt.Errorf("%s: panic of type %T", ex.msg.Method, v))
		}
	}()
	if err := ex.behalf(ctx); err != nil {
		return nil, ex.faultOf(err)
	}
	m, ok := ex.server.methods[ex.msg.Method]
	if !ok || m.eras&ex.era == 0 {
		f = protocol.UnknownMethod()
		if ex.era != modern {
			f.Status = 0
		}
		return nil, ex.unreadable(ctx, f)
	}
	run, err := m.read(ex)
	if err != nil {
		return nil, ex.unreadable(ctx, ex.faultOf(err))
	}
	var res result
	err = ex.pay(ctx, m.due, func(ctx context.Context) (err error) { res, err = run(ctx); return err })
	if err != nil {
		return nil, ex.faultOf(err)
	}
	return ex.reply(res), nil
}

func (ex *Exchange) faultOf(err error) *protocol.Fault {
	if f, ok := err.(*protocol.Fault); ok { //nolint:errorlint // faults are never wrapped
		return f
	}
	return protocol.Answer{Request: ex.requestID}.Fault(call.AsError(err))
}

// reply encodes a result as the request's era has it.
func (ex *Exchange) reply(r result) []byte {
	b := make([]byte, 0, len(r.body)+256)
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = append(b, ex.msg.ID...)
	b = append(b, `,"result":`...)
	b = ex.appendResult(b, r)
	return append(b, '}')
}

func (ex *Exchange) appendResult(b []byte, r result) []byte {
	if ex.era != modern {
		return append(b, r.body...)
	}
	if r.kind == "" {
		r.kind = "complete"
	}
	b = append(b, `{"resultType":"`...)
	b = append(b, r.kind...)
	b = append(b, `","_meta":{"io.modelcontextprotocol/serverInfo":`...)
	b = append(b, ex.server.info...)
	b = append(b, '}')
	if r.cache {
		b = append(b, `,"ttlMs":0,"cacheScope":"private"`...)
	}
	if len(r.body) > len("{}") {
		b = append(b, ',')
	}
	return append(b, r.body[1:]...)
}

// client is the program that calls, as it named itself in this request or in the
// session's first one.
func (ex *Exchange) client() op.Client {
	c := ex.msg.Meta.Client
	if ex.session != nil {
		if c == (op.Client{}) {
			c = ex.session.client
		}
		c.Session = op.ClientNamed("", "", ex.session.id).Session
	}
	return c
}

// trace is where the message belongs: what its own _meta names is the parent, and the
// HTTP request that carried it a link (OpenTelemetry semantic conventions for MCP).
func (ex *Exchange) trace() op.Trace {
	m := &ex.msg.Meta
	t := op.Trace{Parent: m.Parent, State: m.State, Method: ex.msg.Method, Protocol: ex.version, ID: string(ex.msg.ID)}
	if ex.session != nil {
		t.Session = ex.session.id
	}
	if ex.http == nil {
		return t
	}
	if http := ex.http.Header.Get("Traceparent"); t.Parent == "" {
		t.Parent, t.State = http, ex.http.Header.Get("Tracestate")
	} else {
		t.Link = http
	}
	return t
}

// do sends a call through the pipeline.
func (ex *Exchange) do(ctx context.Context, r op.Request) (*op.Result, *call.Error) {
	r.ID, r.Transport, r.Caller = ex.requestID, ex.transport, ex.Caller
	r.Client, r.Trace, r.Room = ex.client(), ex.trace(), ex.room
	res, err := ex.server.Do(ctx, &r)
	if err != nil {
		e := call.AsError(err)
		ex.logRefusal(e)
		return res, e
	}
	return res, nil
}
