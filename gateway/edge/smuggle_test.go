package edge_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestNothingIsServedBehindAChunkedRequest: a request with both Content-Length and
// Transfer-Encoding has two ends, and what a proxy took for its body is no request.
func TestNothingIsServedBehindAChunkedRequest(t *testing.T) {
	srv := httptest.NewServer(newEdge(nil))
	defer srv.Close()
	addr := srv.Listener.Addr().String()
	const inner = "GET /secrets/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: good\r\n\r\n"
	const end = "0\r\n\r\n"
	for name, head := range map[string]string{
		"chunked":           "Transfer-Encoding: chunked\r\n",
		"both":              "Content-Length: 88\r\nTransfer-Encoding: chunked\r\n",
		"both, other order": "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			_, err = io.WriteString(c, "POST /body HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: good\r\nContent-Type: application/json\r\n"+head+"\r\n"+end+inner)
			if err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(c)
			first, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, first.Body)
			_ = first.Body.Close()
			if !first.Close {
				t.Error("the connection goes on")
			}
			if second, err := http.ReadResponse(r, nil); err == nil {
				_ = second.Body.Close()
				t.Errorf("what stands behind the request was served: %d", second.StatusCode)
			}
		})
	}
}
