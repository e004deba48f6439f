package mcp

import (
	"net/http"
	"time"

	"portcullis/gateway/edge"
)

// stream is a reply that may become an event stream of JSON-RPC messages.
type stream struct{ *edge.EventStream }

func newStream(w http.ResponseWriter, timeout time.Duration) stream {
	return stream{edge.NewEventStream(w, timeout)}
}

// message writes one JSON-RPC message.
func (s stream) message(msg []byte) error { return s.event("", msg) }

// event writes one event of type message; JSON text has no line breaks.
func (s stream) event(id string, msg []byte) error {
	b := make([]byte, 0, len(msg)+len(id)+32)
	if id != "" {
		b = append(append(append(b, "id: "...), id...), '\n')
	}
	b = append(b, "event: message\ndata: "...)
	_, err := s.Write(append(append(b, msg...), "\n\n"...))
	return err
}

// comment writes a line that readers ignore, to keep the connection alive.
func (s stream) comment() error {
	_, err := s.Write([]byte(": keep-alive\n\n"))
	return err
}
