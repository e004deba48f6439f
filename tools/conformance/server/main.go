// Command conformance-server is what the official MCP conformance suite is pointed
// at. It serves the gateway's own MCP handler behind the gateway's own edge,
// pipeline, policy, limits and audit, on a dev Vault that it starts itself, and
// adds the suite's fixtures. It admits one test principal without a credential, so
// it listens on loopback alone.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"portcullis/gateway/e2e/stack"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "loopback address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "conformance-server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen string) error {
	l, err := loopback(ctx, listen)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // best effort: a temporary directory
	self, err := os.Executable()
	if err != nil {
		return err
	}
	vault, err := stack.StartVault(ctx, filepath.Dir(filepath.Dir(self)), dir)
	if err != nil {
		return err
	}
	defer func() { _ = vault.Stop() }() // it ends with this process at the latest
	w, err := wire(vault.Addr, vault.Token, dir)
	if err != nil {
		return err
	}
	return errors.Join(serve(ctx, l, w), w.audit.Close())
}

// loopback listens. A server that asks for no credential must not be reachable
// from elsewhere.
func loopback(ctx context.Context, addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, errors.New("--listen must be a loopback address")
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", addr)
}

// serve announces the address and serves until ctx ends.
func serve(ctx context.Context, l net.Listener, w *wired) error {
	s := &http.Server{Handler: w.edge, ReadHeaderTimeout: 10 * time.Second}
	go w.events.Watch(ctx, time.Second)
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	line, err := json.Marshal(map[string]string{"url": "http://" + l.Addr().String() + "/mcp"})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	w.events.Close()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.Shutdown(end)
}
