package mcp_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/events"
	"portcullis/gateway/mcp"
	"portcullis/gateway/op"
)

// FuzzFrame holds that no body makes the server panic or answer with anything
// but JSON-RPC, and that a body that is refused does nothing.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{
		readApp, initialize, `[]`, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + modernMeta + `}}`,
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt"},"argument":{"name":"path","value":"a/"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"kv://secret/a%2fb"}}`,
	} {
		f.Add([]byte(s))
	}
	w := newWorld(f)
	w.Failed = func(err error) { f.Error(err) }
	s := mcp.New(w.Config)
	c := agent(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		w.calls = nil
		got := post(t, s.ServeRPC, c, string(body))
		if got.Code != http.StatusAccepted {
			compact(t, []byte(lastData(got.Body.String())))
		}
		if got.Code >= http.StatusBadRequest && len(w.calls) > 0 {
			t.Errorf("%d, and yet %v was called", got.Code, w.calls[0].Op)
		}
	})
}

// lastData is the last message of a stream, or the body itself.
func lastData(body string) string {
	if i := strings.LastIndex(body, "data: "); i >= 0 && strings.HasPrefix(body, "event: ") {
		return strings.TrimSpace(body[i+len("data: "):])
	}
	return body
}

// FuzzSessions plays any order of what two callers can do with each other's
// session ids, and holds that a foreign session looks like none, and that nothing
// of one caller is in an answer to the other.
func FuzzSessions(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Add([]byte{0, 8, 1, 9, 2, 10, 3, 11, 16, 24, 32, 4, 12, 5, 13})
	few := newWorld(f).Catalogue // a server of two operations is made quickly
	few, err := op.NewCatalogue(few.Get("kv.read"), few.Get("kv.list"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, steps []byte) {
		w := newWorld(t)
		w.Catalogue = few
		w.Events = events.New(events.Config{})
		w.answers["kv.list"] = func(r *op.Request) (string, error) { return `{"keys":["of-` + r.Caller.Subject + `"]}`, nil }
		g := &sessionGame{s: mcp.New(w.Config), owner: map[string]string{"none": ""}, ids: []string{"none"}}
		for i, sub := range []string{"first", "second"} {
			g.callers[i] = agent(t)
			g.callers[i].Subject = sub
			g.callers[i].Prefix, _ = call.ParsePath("mcp/" + sub)
		}
		for _, s := range steps[:min(len(steps), 64)] { // with more sessions than that the oldest of a caller makes room
			g.step(t, s)
		}
	})
}

type sessionGame struct {
	s       *mcp.Server
	callers [2]*call.Caller
	ids     []string
	owner   map[string]string
}

func (g *sessionGame) step(t *testing.T, s byte) {
	c, other := g.callers[s&1], g.callers[1-s&1]
	id := g.ids[int(s>>4)%len(g.ids)]
	body := []string{
		initialize, `{"jsonrpc":"2.0","id":1,"method":"resources/list"}`, `{"jsonrpc":"2.0","id":1,"method":"ping"}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"kv://secret/mcp/` + other.Subject + `/x"}}`,
	}[s>>1&3]
	if body == initialize {
		if id := post(t, g.s.ServeMCP, c, body).Header().Get("Mcp-Session-Id"); id != "" {
			g.ids, g.owner[id] = append(g.ids, id), c.Subject
		}
		return
	}
	got := post(t, g.s.ServeMCP, c, body, "Mcp-Session-Id", id)
	if text := got.Body.String(); strings.Contains(text, "of-"+other.Subject) || strings.Contains(text, "mcp/"+other.Subject) {
		t.Fatalf("%s was told %s", c.Subject, text)
	}
	if mine := g.owner[id] == c.Subject; (got.Code == http.StatusNotFound) == mine {
		t.Fatalf("%s got %d in a session of %q", c.Subject, got.Code, g.owner[id])
	}
}
