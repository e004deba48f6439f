package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/vault"
)

// ready is the one line on standard output.
type ready struct {
	Addr      string `json:"addr"`
	Token     string `json:"token"`
	UnsealKey string `json:"unseal_key"`
	RoleID    string `json:"role_id"`
	SecretID  string `json:"secret_id"`
	Standby   string `json:"standby,omitempty"` // address of the second node
}

// serve brings a Vault up, says so on stdout and runs it until ctx ends. The
// ports are taken first, so that a busy one is known before anything is written;
// they are answered last, so that nobody meets a half-made Vault.
func serve(ctx context.Context, opts options, stdout, stderr io.Writer) error {
	log := hclog.New(&hclog.LoggerOptions{Name: "vault", Level: opts.logLevel, Output: stderr})
	ports, err := listen(ctx, opts)
	defer closeAll(ports)
	if err != nil {
		return err
	}
	store, err := openStore(opts.data, opts.standby != "", log)
	if err != nil {
		return err
	}
	defer store.close()
	var nodes []*node
	for _, p := range ports {
		n, err := newNode(store, opts, p, log)
		if err != nil {
			return fmt.Errorf("make the core: %w", err)
		}
		defer stopCore(n.core)
		nodes = append(nodes, n)
	}
	line, err := prepare(ctx, nodes, store, opts, stderr)
	if ctx.Err() != nil {
		return nil // told to stop while starting
	}
	if err != nil {
		return err
	}
	return answer(ctx, nodes, line, stdout)
}

// answer runs the nodes until ctx ends or one fails.
func answer(ctx context.Context, nodes []*node, line ready, stdout io.Writer) error {
	failed := make(chan error, len(nodes))
	for _, n := range nodes {
		go func() { failed <- listenOn(n.server, n.listener) }()
	}
	if err := json.NewEncoder(stdout).Encode(line); err != nil {
		return fmt.Errorf("print the ready line: %w", err)
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	for _, n := range nodes {
		err = errors.Join(err, stopServer(n.server))
	}
	return err
}

// prepare unseals the nodes and makes the first one, which is the active one, the
// documented Vault.
func prepare(ctx context.Context, nodes []*node, store *store, opts options, stderr io.Writer) (ready, error) {
	core := nodes[0].core
	p := startProgress(stderr)
	defer p.stop()
	p.now("unsealing")
	keys, err := unseal(ctx, core, store)
	if err != nil {
		return ready{}, err
	}
	if err := untilActive(ctx, core); err != nil {
		return ready{}, err
	}
	root := admin{core: core, token: keys.SetupToken}
	if !keys.SetUp {
		p.now("mounting engines and writing roles")
		if err := root.setUp(ctx, keys.SecretID); err != nil {
			return ready{}, err
		}
		keys.SetUp = true
		if err := store.save(keys); err != nil {
			return ready{}, err
		}
	}
	p.now("applying the command line")
	roleID, err := root.apply(ctx, opts)
	line := ready{Addr: nodes[0].addr, Token: opts.rootToken, UnsealKey: keys.UnsealKey, RoleID: roleID, SecretID: keys.SecretID}
	for _, n := range nodes[1:] {
		line.Standby = n.addr
		err = errors.Join(err, openCore(n.core, keys.UnsealKey))
	}
	return line, err
}

func listenOn(srv *http.Server, ln net.Listener) error {
	if srv.TLSConfig != nil {
		return srv.ServeTLS(ln, "", "")
	}
	return srv.Serve(ln)
}

// stopServer gives running requests half a second.
func stopServer(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return srv.Close()
}

// stopCore seals the core, but no request that hangs may hold the process.
func stopCore(core *vault.Core) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = core.Shutdown() // the process ends either way
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}
