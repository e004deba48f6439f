// Command fleet runs a gateway's command several times, in front of one dev Vault and one
// Redis, behind a balancer that gives each request to the next replica:
//
//	fleet bin/portcullis serve
//
// It prints a ready line like a gateway's, with the balancer's address. The replicas have the
// environment of the command, and directories of their own.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"portcullis/gateway/e2e/stack"
)

// size is how many replicas there are.
const size = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command []string) error {
	if len(command) == 0 {
		return errors.New("say which command to run")
	}
	dir, err := os.MkdirTemp("", "fleet-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // best effort: a temporary directory
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// They outlive ctx, so that what needs them can end first.
	vault, err := stack.StartVault(context.WithoutCancel(ctx), filepath.Dir(filepath.Dir(self)), dir)
	if err != nil {
		return err
	}
	defer func() { _ = vault.Stop() }()
	redis, err := stack.StartRedis(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer func() { _ = redis.Close() }()
	shared := []string{"VAULT_ADDR=" + vault.Addr, "VAULT_TOKEN=" + vault.Token, "REDIS_URL=" + redis.URL(), "HOST=127.0.0.1", "PORT=0"}
	var proxies []*httputil.ReverseProxy
	for i := range size {
		p, gateway, err := replica(ctx, command, append(shared, "LOG_DIR="+filepath.Join(dir, fmt.Sprint("logs-", i))))
		if err != nil {
			return err
		}
		defer func() { _ = gateway.Stop() }()
		proxies = append(proxies, p)
	}
	return balance(ctx, proxies)
}

// replica starts one and returns the way to it.
func replica(ctx context.Context, command, env []string) (*httputil.ReverseProxy, *stack.Process, error) {
	var ready struct {
		Addr string `json:"addr"`
	}
	p, err := stack.Start(context.WithoutCancel(ctx), stack.Command{
		Path: command[0], Args: command[1:], Env: append(os.Environ(), env...), Stderr: os.Stderr, Ready: true,
	}, &ready)
	if err != nil {
		return nil, nil, err
	}
	at, err := url.Parse(ready.Addr)
	if err != nil {
		return nil, nil, err
	}
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(at); r.Out.Host = r.In.Host },
	}
	return proxy, p, nil
}

// balance serves until ctx ends.
func balance(ctx context.Context, proxies []*httputil.ReverseProxy) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var turn atomic.Uint64
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxies[turn.Add(1)%uint64(len(proxies))].ServeHTTP(w, r)
	})}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"addr": "http://" + l.Addr().String()}); err != nil {
		return err
	}
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
