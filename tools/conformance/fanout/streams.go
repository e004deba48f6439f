package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

func (l *load) request(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, l.url+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-API-Key", l.key)
	r.Header.Set("Content-Type", "application/json")
	return l.client.Do(r)
}

// write writes one of the hot secrets.
func (l *load) write(i int) (time.Duration, error) {
	start := time.Now()
	resp, err := l.request(context.Background(), http.MethodPut, fmt.Sprintf("/secrets/fan/%d", i), strings.NewReader(`{"data":{"k":"v"}}`))
	if err != nil {
		return time.Since(start), err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return time.Since(start), fmt.Errorf("a write got %d", resp.StatusCode)
	}
	return time.Since(start), nil
}

// topic is the secret of a reader: ten readers for each hot one, the rest idle.
func (l *load) topic(i int) string {
	if i < 10*l.hot {
		return fmt.Sprintf("mcp/agent_api/fan/%d", i%l.hot)
	}
	return fmt.Sprintf("mcp/agent_api/idle/%d/", i)
}

// openReaders opens streams that are read, until stop.
func (l *load) openReaders(ctx context.Context, from, to int) (stop func(), err error) {
	ctx, stop = context.WithCancel(ctx)
	slots := make(chan struct{}, 16)
	errs := make(chan error, to-from)
	var opening sync.WaitGroup
	for i := from; i < to; i++ {
		slots <- struct{}{}
		opening.Go(func() {
			defer func() { <-slots }()
			errs <- l.openReader(ctx, i)
		})
	}
	opening.Wait()
	for range to - from {
		err = errors.Join(err, <-errs)
	}
	return stop, err
}

func (l *load) openReader(ctx context.Context, i int) error {
	resp, err := l.request(ctx, http.MethodGet, "/events?path="+url.QueryEscape(l.topic(i)), nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("stream %d got %d", i, resp.StatusCode)
	}
	l.live.Go(func() {
		defer func() { _ = resp.Body.Close() }()
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
			if strings.HasPrefix(s.Text(), "data: ") {
				l.mu.Lock()
				l.heard++
				l.mu.Unlock()
			}
		}
	})
	return nil
}

// openDead opens streams that nobody will read, with the smallest buffers, so that
// they are full early in a phase.
func (l *load) openDead() (closeAll func(), err error) {
	u, err := url.Parse(l.url)
	if err != nil {
		return nil, err
	}
	var conns []net.Conn
	closeAll = func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	small := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1024) })
	}}
	for i := l.always(); i < l.readers; i++ {
		c, err := small.Dial("tcp", u.Host)
		if err != nil {
			return closeAll, err
		}
		conns = append(conns, c)
		_, err = fmt.Fprintf(c, "GET /events?path=%s HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\n\r\n",
			url.QueryEscape(l.topic(i)), u.Host, l.key)
		if err != nil {
			return closeAll, err
		}
	}
	return closeAll, nil
}
