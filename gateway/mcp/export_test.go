package mcp

import (
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/mcp/protocol"

	"portcullis/gateway/call"
)

// AfterTheEnd does what two requests do that race: one has found its session, the
// other ends it, and then the first begins a stream and a call in it.
func AfterTheEnd(s *Server, id string, c *call.Caller) (stream, request *protocol.Fault) {
	sess := s.sessions.get(id, c)
	s.sessions.end(sess)
	_, err := sess.attach(s.Events, c, "", func() {})
	if err != nil {
		stream = streamRefusal(err)
	}
	_, request = sess.begin(jsontext.Value("1"), func() {})
	return stream, request
}
