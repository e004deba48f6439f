package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/vault"
)

// ready is the one line on standard output.
type ready struct {
	Addr      string `json:"addr"`
	Token     string `json:"token"`
	UnsealKey string `json:"unseal_key"`
	RoleID    string `json:"role_id"`
	SecretID  string `json:"secret_id"`
}

// serve brings a Vault up, says so on stdout and runs it until ctx ends. The
// port is taken first, so that a busy one is known before anything is written;
// it is answered last, so that nobody meets a half-made Vault.
func serve(ctx context.Context, opts options, stdout, stderr io.Writer) error {
	log := hclog.New(&hclog.LoggerOptions{Name: "vault", Level: opts.logLevel, Output: stderr})
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", opts.listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	store, err := openStore(opts.data, log)
	if err != nil {
		return err
	}
	defer store.close()
	core, err := newCore(store, log)
	if err != nil {
		return fmt.Errorf("make the core: %w", err)
	}
	defer stopCore(core)
	line, err := prepare(ctx, core, store, opts, stderr)
	if ctx.Err() != nil {
		return nil // told to stop while starting
	}
	if err != nil {
		return err
	}
	line.Addr = address(opts, ln)
	srv := newServer(core, opts, log)
	failed := make(chan error, 1)
	go func() { failed <- listenOn(srv, ln) }()
	if err := json.NewEncoder(stdout).Encode(line); err != nil {
		return fmt.Errorf("print the ready line: %w", err)
	}
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	return errors.Join(err, stopServer(srv))
}

// prepare unseals the core and makes it the documented Vault.
func prepare(ctx context.Context, core *vault.Core, store *store, opts options, stderr io.Writer) (ready, error) {
	p := startProgress(stderr)
	defer p.stop()
	p.now("unsealing")
	keys, err := unseal(ctx, core, store)
	if err != nil {
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
	return ready{Token: opts.rootToken, UnsealKey: keys.UnsealKey, RoleID: roleID, SecretID: keys.SecretID}, err
}

func newServer(core *vault.Core, opts options, log hclog.Logger) *http.Server {
	return &http.Server{
		Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
			Core:           core,
			ListenerConfig: &configutil.Listener{Type: "tcp", Address: opts.listen},
		}),
		TLSConfig:         opts.tls,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       5 * time.Minute,
		ErrorLog:          log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
}

func listenOn(srv *http.Server, ln net.Listener) error {
	if srv.TLSConfig != nil {
		return srv.ServeTLS(ln, "", "")
	}
	return srv.Serve(ln)
}

// address is what a client on this machine can use, with the real port.
func address(opts options, ln net.Listener) string {
	host, _, _ := net.SplitHostPort(opts.listen)
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	scheme := "http"
	if opts.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
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
