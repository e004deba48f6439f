package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/vault"
)

// node is one Vault process of a cluster, here in one process with the others.
type node struct {
	core     *vault.Core
	addr     string
	listener net.Listener
	server   *http.Server
}

// port is a listener and the address that it was asked for with.
type port struct {
	net.Listener
	asked string
}

// listen takes the ports of all nodes.
func listen(ctx context.Context, opts options) (ports []port, err error) {
	addrs := []string{opts.listen}
	if opts.standby != "" {
		addrs = append(addrs, opts.standby)
	}
	var lc net.ListenConfig
	for _, a := range addrs {
		ln, err := lc.Listen(ctx, "tcp", a)
		if err != nil {
			return ports, err
		}
		ports = append(ports, port{ln, a})
	}
	return ports, nil
}

func closeAll(ports []port) {
	for _, p := range ports {
		p.Close()
	}
}

// newNode makes a sealed node. One of several forwards what only the active one can
// do over a connection of their own, on a free port.
func newNode(store *store, opts options, p port, log hclog.Logger) (*node, error) {
	n := &node{addr: address(opts, p), listener: p}
	var err error
	if n.core, err = newCore(store, n.addr, log); err != nil {
		return nil, err
	}
	n.server = newServer(n.core, opts, log)
	if store.ha != nil {
		n.core.SetClusterListenerAddrs([]*net.TCPAddr{{IP: net.IPv4(127, 0, 0, 1)}})
		n.core.SetClusterHandler(n.server.Handler)
	}
	return n, nil
}

// untilActive waits for a node of several to have taken the lead.
func untilActive(ctx context.Context, core *vault.Core) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for {
		if standby, err := core.Standby(); err == nil && !standby {
			return nil
		}
		select {
		case <-tick.C:
		case <-late:
			return errors.New("the node does not become the active one")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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

// address is what a client on this machine can use, with the real port.
func address(opts options, p port) string {
	host, _, _ := net.SplitHostPort(p.asked)
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	_, port, _ := net.SplitHostPort(p.Addr().String())
	scheme := "http"
	if opts.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
