package server

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"

	"portcullis/gateway/events"
	"portcullis/gateway/vault"
)

// outside tells of changes made past the gateway until ctx ends: from Vault's audit
// records when a tap is configured, from its event stream, else by looking.
func (g *Server) outside(ctx context.Context) {
	if g.cfg.VaultEvents {
		g.hear(ctx)
		return
	}
	if g.cfg.VaultAuditTap == "" {
		g.poller().Run(ctx)
		return
	}
	if err := g.tap(ctx); err != nil && ctx.Err() == nil {
		g.logs.Server.Error("the audit tap failed: changes are looked for instead", "cause", err)
		g.poller().Run(ctx)
	}
}

// hear hears of changes from Vault's event stream. Looking goes on beside it, rarely
// while the stream is open: Vault may lose a notification.
func (g *Server) hear(ctx context.Context) {
	p, feed := g.poller(), events.NewFeed(g.events, g.cfg.KVMount)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.Run(ctx) })
	err := g.vault.Listen(ctx, vault.Listener{
		Mount:   g.cfg.KVMount,
		Opened:  func() { p.Rely(true) },
		Closed:  func() { p.Rely(false) },
		Changed: func(c vault.Change) { feed.Changed(c.Operation, c.Path, c.Version) },
	})
	if err != nil {
		g.logs.Server.Warn("VAULT_EVENTS is on, but only Vault Enterprise 1.16 and later has an event stream: changes are looked for instead", "cause", err)
	}
}

// tap reads audit records from where the configuration says.
func (g *Server) tap(ctx context.Context) error {
	t := events.NewTap(g.events, g.cfg.KVMount, g.cfg.VaultNamespace)
	kind, where, _ := strings.Cut(g.cfg.VaultAuditTap, ":")
	if kind == "file" {
		return events.Follow(ctx, where, t.Records())
	}
	if kind == "unix" {
		if err := removeSocket(where); err != nil {
			return err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, kind, where)
	if err != nil {
		return err
	}
	return serveTap(ctx, l, t)
}

// removeSocket removes a socket that an earlier process has left, and nothing else.
func removeSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return errors.New("VAULT_AUDIT_TAP: there is something else than a socket at " + path)
	}
	return os.Remove(path)
}

// serveTap reads from every connection as fast as records come: Vault waits for its
// audit device.
func serveTap(ctx context.Context, l net.Listener, t *events.Tap) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		end := context.AfterFunc(ctx, func() { _ = c.Close() })
		wg.Go(func() {
			defer end()
			_, _ = io.Copy(t.Records(), c) // how it ends does not matter: Vault connects again
			_ = c.Close()
		})
	}
}
