package mcp

import (
	"context"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

// extraMount is the mount of events about resources of the extra provider.
const extraMount = "extra "

// topics are subscriptions by the URI that the client used: notifications repeat
// its spelling.
type topics map[string]events.Topic

// topic is what a URI subscribes to: one resource, or with a slash at its end all
// at and below it. What the caller may not hear of now, and what does not exist,
// is no topic.
func (ex *Exchange) topic(ctx context.Context, uri string) (events.Topic, bool) {
	if ex.isExtra(uri) {
		return events.Topic{Mount: extraMount + uri}, true
	}
	r, ok := ex.parseURI(uri)
	if !ok || r.version != 0 {
		return events.Topic{}, false
	}
	t := events.Topic{Mount: ex.server.KVMount, Path: r.path, Below: r.listing}
	allow := ex.server.Events.Allow
	probe := events.Event{Kind: events.ResourceChanged, Mount: t.Mount, Path: t.Path, Op: opRead}
	if t.Below {
		probe.Op = opList
	}
	if allow == nil || !allow(ctx, ex.Caller, probe) {
		return events.Topic{}, false
	}
	return t, true
}

func (ex *Exchange) isExtra(uri string) bool {
	x := ex.server.Extra
	return x != nil && x.Watched != nil && x.Watched(uri)
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

// subscribe adds a resource to the session's stream (resources/subscribe). The
// answer is the same whether there is such a resource, and whether the caller may
// hear of it.
func (ex *Exchange) subscribe(ctx context.Context, params jsontext.Value) (result, error) {
	uri, err := uriOf(params)
	if err != nil {
		return result{}, err
	}
	if ex.server.Events == nil {
		return result{}, unknownMethod()
	}
	t, _ := ex.topic(ctx, uri) // without one, the zero Topic: nothing is ever about it
	if !ex.session.watch(uri, t, ex.server.Events.Topics) {
		return result{}, &Fault{Code: CodeCall, Msg: "too many subscriptions"}
	}
	return result{body: jsontext.Value("{}")}, nil
}

// unsubscribe takes it away again (resources/unsubscribe).
func (ex *Exchange) unsubscribe(_ context.Context, params jsontext.Value) (result, error) {
	uri, err := uriOf(params)
	if err != nil {
		return result{}, err
	}
	ex.session.unwatch(uri)
	return result{body: jsontext.Value("{}")}, nil
}

func uriOf(params jsontext.Value) (string, error) {
	f, err := fields(params, "uri")
	if err != nil {
		return "", invalidParams("params: " + err.Error())
	}
	uri, ok := text(f[0])
	if !ok {
		return "", invalidParams("the uri is missing")
	}
	return uri, nil
}

// watch adds a subscription, within the cap.
func (s *session) watch(uri string, t events.Topic, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, has := s.topics[uri]; !has && len(s.topics) >= most {
		return false
	}
	if s.reader != nil && t.Mount != "" && !s.reader.Add(t) {
		return false
	}
	if s.topics == nil {
		s.topics = topics{}
	}
	s.topics[uri] = t
	return true
}

func (s *session) unwatch(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.topics[uri]
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
