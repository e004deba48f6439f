// Command fleet runs a gateway's command several times, in front of one dev Vault and one
// Redis, behind a balancer that gives each request to the next replica:
//
//	fleet bin/portcullis serve
//
// It prints a ready line like a gateway's, with the balancer's address. The replicas have the
// environment of the command, and directories of their own, in FLEET_LOGS where that is set.
// With VAULT_ADDR and REDIS_URL they use what is there. SIGHUP reaches each of them.
package main

import (
	"cmp"
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
	"strconv"
	"sync"
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
	f := &fleet{dir: dir, logs: cmp.Or(os.Getenv("FLEET_LOGS"), dir), env: []string{"HOST=127.0.0.1", "PORT=0"}}
	defer f.stop()
	if err := f.servers(context.WithoutCancel(ctx)); err != nil { // they outlive ctx, so that what needs them can end first
		return err
	}
	for range size {
		if err := f.replica(ctx, command); err != nil {
			return err
		}
	}
	return f.balance(ctx)
}

// fleet is what was started.
type fleet struct {
	dir, logs string
	env       []string // of each replica
	replicas  []*stack.Process
	proxies   []*httputil.ReverseProxy
	admin     string   // the first one's
	after     []func() // what ends behind the replicas
}

// servers starts what the environment does not name.
func (f *fleet) servers(ctx context.Context) error {
	if os.Getenv("VAULT_ADDR") == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		vault, err := stack.StartVault(ctx, filepath.Dir(filepath.Dir(self)), f.dir)
		if err != nil {
			return err
		}
		f.after = append(f.after, func() { _ = vault.Stop() })
		f.env = append(f.env, "VAULT_ADDR="+vault.Addr, "VAULT_TOKEN="+vault.Token)
	}
	if os.Getenv("REDIS_URL") == "" {
		redis, err := stack.StartRedis(ctx)
		if err != nil {
			return err
		}
		f.after = append(f.after, func() { _ = redis.Close() })
		f.env = append(f.env, "REDIS_URL="+redis.URL())
	}
	return nil
}

// stop ends all replicas at once, and then what they need.
func (f *fleet) stop() {
	var wg sync.WaitGroup
	for _, p := range f.replicas {
		wg.Go(func() { _ = p.Stop() })
	}
	wg.Wait()
	for _, end := range f.after {
		end()
	}
}

// replica starts one more.
func (f *fleet) replica(ctx context.Context, command []string) error {
	var ready struct {
		Addr  string `json:"addr"`
		Admin string `json:"admin_addr"`
	}
	logs := filepath.Join(f.logs, strconv.Itoa(len(f.replicas)))
	p, err := stack.Start(context.WithoutCancel(ctx), stack.Command{
		Path: command[0], Args: command[1:], Env: append(append(os.Environ(), f.env...), "LOG_DIR="+logs), Stderr: os.Stderr, Ready: true,
	}, &ready)
	if err != nil {
		return err
	}
	f.replicas, f.admin = append(f.replicas, p), cmp.Or(f.admin, ready.Admin)
	at, err := url.Parse(ready.Addr)
	f.proxies = append(f.proxies, &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(at); r.Out.Host = r.In.Host },
	})
	return err
}

// hangUp tells each replica to read its files again.
func (f *fleet) hangUp(ctx context.Context) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGHUP)
	defer signal.Stop(told)
	for {
		select {
		case <-ctx.Done():
			return
		case <-told:
			for _, p := range f.replicas {
				_ = p.Signal(syscall.SIGHUP) // one that has ended reads nothing
			}
		}
	}
}

// balance serves until ctx ends.
func (f *fleet) balance(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var turn atomic.Uint64
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.proxies[turn.Add(1)%size].ServeHTTP(w, r)
	})}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	go f.hangUp(ctx)
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"addr": "http://" + l.Addr().String(), "admin_addr": f.admin}); err != nil {
		return err
	}
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
