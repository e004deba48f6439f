package mcp

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// askedFor is how long a client may take to respond. A person may have to be asked.
const askedFor = stateLife

// Ask sends a request to a legacy client and waits for its response, for askedFor and as
// long as the session is there to respond in. The client must have declared the capability.
func (ex *Exchange) Ask(ctx context.Context, method string, params any) (jsontext.Value, error) {
	if ex.session == nil || ex.send == nil {
		return nil, &protocol.Fault{Code: protocol.CodeInvalidRequest, Msg: "the client cannot be asked here"}
	}
	id, answer := ex.session.ask(ex.server.sessions.self)
	defer ex.session.forget(id)
	err := ex.send(protocol.MustJSON(struct {
		Version string         `json:"jsonrpc"`
		ID      jsontext.Value `json:"id"`
		Method  string         `json:"method"`
		Params  any            `json:"params"`
	}{"2.0", jsontext.Value(id), method, params}))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askedFor)
	defer cancel()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case m, ok := <-answer:
		if !ok {
			return nil, &protocol.Fault{Code: protocol.CodeCall, Msg: "the session has ended before the client has answered"}
		}
		if m.Fault != nil {
			return nil, &protocol.Fault{Code: protocol.CodeCall, Msg: "the client refused the request"}
		}
		return m.Result, nil
	}
}

// askMark begins the id of each request of ours, which goes on with the name of the replica
// that asks: a response that comes to another one is handed to it.
const askMark = `"ask-`

// askerOf is the replica that asked by an id.
func askerOf(id jsontext.Value) (name string, ok bool) {
	rest, ours := strings.CutPrefix(string(id), askMark)
	name, _, ok = strings.Cut(rest, "-")
	return name, ours && ok
}

func (s *session) ask(self string) (id string, answer chan *protocol.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id = askMark + self + "-" + rand.Text() + `"`
	answer = make(chan *protocol.Message, 1)
	if s.ended {
		close(answer)
		return id, answer
	}
	s.asked[id] = answer
	return id, answer
}

func (s *session) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asked, id)
}

// Require faults unless the client has declared a capability, "a" or "a", "b".
func (ex *Exchange) Require(capability ...string) error {
	if ex.capabilities.Has(capability...) {
		return nil
	}
	need := map[string]any{}
	for _, name := range slices.Backward(capability) {
		need = map[string]any{name: need}
	}
	f := &protocol.Fault{Code: protocol.CodeMissingCapability, Msg: "the client lacks a capability that this needs", Data: map[string]any{"requiredCapabilities": need}}
	if ex.era == modern {
		f.Status = 400
	}
	return f
}

// Has reports whether the client has declared a capability.
func (ex *Exchange) Has(capability ...string) bool { return ex.capabilities.Has(capability...) }

// Log sends a log message, when the client has asked for its level: by
// logging/setLevel in the legacy era, by _meta in the modern one.
func (ex *Exchange) Log(level, logger string, data any) {
	least := ex.msg.Meta.LogLevel
	if ex.session != nil {
		least = ex.session.level()
	}
	levels := logLevels()
	if least == "" || slices.Index(levels, level) < slices.Index(levels, least) {
		return
	}
	ex.Notify("notifications/message", struct {
		Level  string `json:"level"`
		Logger string `json:"logger"`
		Data   any    `json:"data"`
	}{level, logger, data})
}

func (s *session) level() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logLevel == "" {
		return "info"
	}
	return s.logLevel
}

// logRefusal tells a client that has set a level in its session of a call that was
// refused or failed. Where none was set, the answer says it and nothing else does.
func (ex *Exchange) logRefusal(err *call.Error) {
	if ex.session == nil || !ex.session.wantsLog() {
		return
	}
	ex.Log("warning", "portcullis", protocol.Answer{Request: ex.requestID}.WireError(err))
}

func (s *session) wantsLog() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logLevel != ""
}
