package auth_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
)

// TestNoSecondRequestHidesInTheBodyOfAFirst: what a lax proxy forwards as one request
// is not read as two, of which the second brings an identity of its own.
func TestNoSecondRequestHidesInTheBodyOfAFirst(t *testing.T) {
	const hidden = "GET /whoami HTTP/1.1\r\nHost: gw.test\r\nX-SSL-Client-S-DN: CN=victim\r\nX-SSL-Client-Verify: SUCCESS\r\n\r\n"
	w := newWorld(t)
	w.cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	ch := open(t, w.cfg)
	var victims atomic.Int64
	srv := httptest.NewServer(ch.Unpipelined(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if c, err := ch.Authenticate(r); err == nil && c.Subject == "victim" {
			victims.Add(1)
		}
		_, _ = io.Copy(rw, r.Body)
	})))
	t.Cleanup(srv.Close)
	for name, first := range map[string]string{
		"both lengths":    "POST /a HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 999\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunked":         "POST /a HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.0":        "POST /a HTTP/1.0\r\nHost: gw.test\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.0, both":  "POST /a HTTP/1.0\r\nHost: gw.test\r\nConnection: keep-alive\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
		"two lengths":     "POST /a HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 0\r\nContent-Length: 9\r\n\r\n",
		"unknown coding":  "POST /a HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 9\r\nTransfer-Encoding: xchunked\r\n\r\n",
		"a list of codes": "POST /a HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 9\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			if n := answers(t, srv.Listener.Addr().String(), first+hidden); n != 1 {
				t.Errorf("got %d answers, want 1", n)
			}
		})
	}
	if victims.Load() != 0 {
		t.Errorf("%d requests were the victim's", victims.Load())
	}
	if n := answers(t, srv.Listener.Addr().String(), hidden+hidden); n != 2 || victims.Load() != 2 {
		t.Errorf("requests with nothing odd: got %d answers", n)
	}
}

// answers counts the responses to what is sent over one connection.
func answers(t *testing.T, addr, text string) (n int) {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Log(err)
			}
			return n
		}
		_, _ = io.Copy(io.Discard, res.Body)
		n++
	}
}
