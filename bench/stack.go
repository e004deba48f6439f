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
	"time"

	"portcullis/gateway/e2e/stack"
)

// set is every process that is measured.
type set struct {
	vault   *stack.Vault
	gateway *stack.Gateway
	proxy   *stack.Process
	front   string // the proxy's address
}

// marker is in the secret that is read, so that every answer can be checked.
const marker = "obviously-fake-and-just-for-the-benchmark"

func start(ctx context.Context, dir string) (*set, error) {
	root, err := stack.Root()
	if err != nil {
		return nil, err
	}
	s := &set{}
	if s.vault, err = stack.StartVault(ctx, root, dir, "--audit-file="); err != nil {
		return nil, err
	}
	// Everything shares the cores here, so a decision may have to wait for its turn.
	env := append(stack.DevEnv(root, s.vault), "RATE_LIMIT_ENABLED=false", "POLICY_TIMEOUT=2s")
	if s.gateway, err = stack.StartGateway(ctx, stack.GatewayOptions{Root: root, Dir: dir, Env: env}); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var ready struct{ Addr string }
	s.proxy, err = stack.Start(ctx, stack.Command{Path: self, Args: []string{"proxy", s.vault.Addr}, Ready: true}, &ready)
	if err != nil {
		return nil, err
	}
	s.front = ready.Addr
	status, err := s.vault.Send(ctx, http.MethodPut, "secret/data/"+secret, `{"data":{"user":"app","password":"`+marker+`"}}`)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("write the secret: status %d", status)
	}
	return s, err
}

func (s *set) stop() {
	_ = errors.Join(s.proxy.Stop(), s.gateway.Stop(), s.vault.Stop()) // the figures are there
}

// proxy is the measure of things: a reverse proxy that does nothing else, with as
// many idle connections as it can use.
func proxy(to string) error {
	u, err := url.Parse(to)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	line, err := json.Marshal(map[string]string{"addr": "http://" + l.Addr().String()})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	p := httputil.NewSingleHostReverseProxy(u)
	p.Transport = &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Minute}
	server := http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(l)
}
