package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// proxy is the measure of things: a reverse proxy that does nothing else, with as
// many idle connections as it can use.
func proxy(ctx context.Context, to string) error {
	u, err := url.Parse(to)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	line, err := json.Marshal(map[string]string{"addr": "http://" + l.Addr().String()})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	p := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport: &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Minute},
	}
	server := http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(l)
}
