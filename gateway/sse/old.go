package sse

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
)

// The two routes of the service that this one replaces had no authentication and
// told everybody everything. Their shapes are kept, that is not.

// oldRecent bounds what GET /mcp/events answers.
const oldRecent = 200

// OldStream answers GET /mcp/sse: bare data lines, a greeting first.
func (s *Server) OldStream(w http.ResponseWriter, r *http.Request, c *call.Caller) {
	var rd *events.Reader
	err := s.keep(r, c, opEvents, func(context.Context) (err error) {
		rd, err = s.Log.Subscribe(c, "old", s.oldFilter(c), "")
		return err
	})
	if err != nil {
		s.Error(w, call.AsError(err))
		return
	}
	s.stream(w, r, rd, format{
		first: sign("hello"),
		event: func(s *Server, e *events.Event, _ string) string { return "data: " + string(s.oldShape(e, c)) + "\n\n" },
		idle:  func() string { return sign("keepalive") },
	})
}

// sign is the old service's greeting and sign of life.
func sign(kind string) string {
	return fmt.Sprintf("data: {\"type\":%q,\"ts\":%s}\n\n", kind, seconds(time.Now()))
}

// seconds is a time as the old service wrote it: Unix seconds with a fraction.
func seconds(t time.Time) string { return fmt.Sprintf("%.3f", float64(t.UnixMilli())/1000) }

// OldEvents answers GET /mcp/events: the newest events, those of one type when
// the query names it.
func (s *Server) OldEvents(w http.ResponseWriter, r *http.Request, c *call.Caller) {
	if err := s.charge(r, c, opRecent, oldRecent); err != nil {
		s.Error(w, call.AsError(err))
		return
	}
	f := s.oldFilter(c)
	if t := r.URL.Query().Get("type"); t != "" {
		f.Kinds = []events.Kind{events.Kind(t)}
	}
	list := []rawJSON{}
	for _, e := range s.Log.Recent(r.Context(), c, f, oldRecent) {
		list = append(list, s.oldShape(&e, c))
	}
	body, err := json.Marshal(map[string]any{"events": list})
	if err != nil {
		s.Error(w, call.AsError(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // the client has gone when this fails
}

func (s *Server) oldFilter(c *call.Caller) events.Filter {
	return events.Filter{
		Kinds:  []events.Kind{events.ResourceChanged, events.ToolCompleted},
		Topics: []events.Topic{{Mount: s.KVMount, Path: c.Prefix, Below: true}},
	}
}

type rawJSON []byte

// MarshalJSON returns the text itself.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// oldShape is an event as the old service wrote it: the URI names the caller's
// subject and the path below its prefix.
func (s *Server) oldShape(e *events.Event, c *call.Caller) rawJSON {
	ts := rawJSON(seconds(e.Time))
	var v any = struct {
		Type    events.Kind `json:"type"`
		Tool    string      `json:"tool"`
		Subject string      `json:"subject"`
		Time    rawJSON     `json:"ts"`
	}{e.Kind, e.Op, e.Subject, ts}
	if e.Kind == events.ResourceChanged {
		rel := e.Path.String()
		if e.Path.Within(c.Prefix) && len(rel) > len(c.Prefix.String()) && !c.Prefix.IsZero() {
			rel = rel[len(c.Prefix.String())+1:]
		}
		v = struct {
			Type    events.Kind `json:"type"`
			URI     string      `json:"uri"`
			Subject string      `json:"subject"`
			Time    rawJSON     `json:"ts"`
		}{e.Kind, "kv://" + c.Subject + "/" + rel, e.Subject, ts}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return rawJSON("{}")
	}
	return b
}
