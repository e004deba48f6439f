package mcp

import (
	"context"
	"net/url"
	"strings"

	"portcullis/gateway/mcp/protocol"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

// topics are subscriptions by the URI that the client used: notifications repeat
// its spelling.
type topics map[string]events.Topic

// maxURI bounds a resource's URI in bytes: a path of the greatest length, with each
// of its bytes escaped, fits.
const maxURI = 4 << 10

// topic is what a URI subscribes to, if it names something of which a provider tells
// and the caller may receive now.
func (ex *Exchange) topic(ctx context.Context, uri string) (events.Topic, bool) {
	if len(uri) > maxURI {
		return events.Topic{}, false
	}
	for _, p := range ex.server.providers {
		if p.Topic == nil {
			continue
		}
		if t, ok := p.Topic(ctx, ex, uri); ok {
			return t, true
		}
	}
	return events.Topic{}, false
}

// notice is the notification of an event, nil when the subscriptions do not
// cover it. Its _meta says how the gateway knows.
func (ts topics) notice(e *events.Event) (method string, params map[string]any) {
	switch e.Kind {
	case events.ToolsChanged:
		return "notifications/tools/list_changed", map[string]any{}
	case events.PromptsChanged:
		return "notifications/prompts/list_changed", map[string]any{}
	case events.ResourceChanged:
		if uri, ok := ts.spelling(e); ok {
			return "notifications/resources/updated", map[string]any{
				"uri": uri, "_meta": map[string]any{"portcullis/source": e.Source},
			}
		}
	}
	return "", nil
}

// spelling is the changed resource's URI as the client would write it.
func (ts topics) spelling(e *events.Event) (string, bool) {
	best := ""
	for uri, t := range ts {
		if t.Mount != e.Mount || (t.Path != e.Path && !t.Below) || !e.Path.Within(t.Path) {
			continue
		}
		if t.Path == e.Path {
			return uri, true
		}
		best = max(best, uri+below(e.Path, t.Path))
	}
	return best, best != ""
}

// below is the escaped rest of p under root.
func below(p, root call.Path) string {
	rest := strings.TrimPrefix(p.String()[len(root.String()):], "/")
	segs := strings.Split(rest, "/")
	for i, s := range segs {
		segs[i] = url.PathEscape(s)
	}
	return strings.Join(segs, "/")
}

// size is what the subscriptions hold, in bytes.
func (ts topics) size() (n int) {
	for uri := range ts {
		n += subscription(uri)
	}
	return n
}

// filter is what a stream with these subscriptions hears of.
func (ts topics) filter(kinds ...events.Kind) events.Filter {
	f := events.Filter{Kinds: kinds}
	for _, t := range ts {
		if t.Mount != "" {
			f.Topics = append(f.Topics, t)
		}
	}
	return f
}

// subscribe adds a resource to the session's stream (resources/subscribe). What is
// wrong and what the caller may not receive are refused in the same words; whether a
// resource that it may receive exists is not looked at.
func (ex *Exchange) subscribe(ctx context.Context, uri string) (result, error) {
	if ex.server.Events == nil {
		return result{}, protocol.UnknownMethod()
	}
	t, ok := ex.topic(ctx, uri)
	if !ok {
		return result{}, protocol.InvalidParams("uri names nothing that you can subscribe to: use kv://MOUNT/FULL/PATH of a secret that you may read, or with a slash at its end of what you may list")
	}
	if f := ex.server.sessions.watch(ex.session, uri, t, ex.server.Events.Topics); f != nil {
		return result{}, f
	}
	err := ex.server.sessions.changeTopics(ctx, ex.session, func(r *record) { r.add(uri, t) })
	if err != nil {
		ex.session.unwatch(uri)
		return result{}, err
	}
	return result{body: jsontext.Value("{}")}, nil
}

// unsubscribe takes it away again (resources/unsubscribe).
func (ex *Exchange) unsubscribe(ctx context.Context, uri string) (result, error) {
	if err := ex.server.sessions.changeTopics(ctx, ex.session, func(r *record) { r.remove(uri) }); err != nil {
		return result{}, err
	}
	ex.session.unwatch(uri)
	return result{body: jsontext.Value("{}")}, nil
}

// watch adds a subscription, within the caps of the session and of its caller.
func (ss *sessions) watch(s *session, uri string, t events.Topic, most int) *protocol.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return sessionFault()
	}
	if _, has := s.topics[uri]; has {
		return nil
	}
	if len(s.topics) >= most {
		return tooManySubscriptions()
	}
	release, err := ss.keeper.keep(s.owner, subscription(uri), budget.Subscriptions)
	if err != nil {
		return tooManySubscriptions()
	}
	if !s.add(uri, t, release) {
		return tooManySubscriptions()
	}
	return nil
}

// add adds a subscription for which room has been taken, or gives it back and reports
// false. The lock is held.
func (s *session) add(uri string, t events.Topic, release func()) bool {
	if s.reader != nil && !s.reader.Add(t) {
		release()
		return false
	}
	if s.topics == nil {
		s.topics = topics{}
	}
	s.topics[uri], s.holds[uri] = t, release
	return true
}

func tooManySubscriptions() *protocol.Fault {
	return &protocol.Fault{Code: protocol.CodeCall, Msg: "too many subscriptions: unsubscribe from some, or subscribe to a path with a slash at its end instead of to each secret below it"}
}

func (s *session) unwatch(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.leave(uri)
	}
}

// leave takes a subscription away. The lock is held.
func (s *session) leave(uri string) {
	t, ok := s.topics[uri]
	if !ok {
		return
	}
	s.holds[uri]()
	delete(s.holds, uri)
	delete(s.topics, uri)
	for _, other := range s.topics {
		ok = ok && other != t
	}
	if ok && s.reader != nil {
		s.reader.Remove(t)
	}
}

// noticeOf is the notification of an event in this session.
func (s *session) noticeOf(e *events.Event) (string, map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topics.notice(e)
}
