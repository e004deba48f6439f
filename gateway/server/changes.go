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

	"portcullis/gateway/changes"
	"portcullis/gateway/vault"
)

// watchExternalChanges publishes changes that were made past the gateway until ctx ends:
// from Vault's event stream or its audit records when these are configured, else by
// polling.
func (g *Server) watchExternalChanges(ctx context.Context) {
	d := changes.NewDeduper(g.events)
	if g.cfg.VaultEvents {
		g.watchVaultEvents(ctx, d)
		return
	}
	if g.cfg.VaultAuditTap == "" {
		g.poller(d).Run(ctx)
		return
	}
	if err := g.tailVaultAudit(ctx, d); err != nil && ctx.Err() == nil {
		g.logs.Server.Error("Vault's audit records cannot be read any more; changes made past the gateway are found by polling instead, which is slower: check VAULT_AUDIT_TAP and restart", "cause", err)
		g.poller(d).Run(ctx)
	}
}

// watchVaultEvents publishes changes from Vault's event stream. Polling goes on beside it,
// rarely while the stream is open, because Vault may lose a notification.
func (g *Server) watchVaultEvents(ctx context.Context, d *changes.Deduper) {
	p, reports := g.poller(d), changes.NewVaultEvents(d, g.cfg.KVMount)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.Run(ctx) })
	err := g.vault.Listen(ctx, vault.Listener{
		Mount:   g.cfg.KVMount,
		Opened:  func() { p.SetFallback(true) },
		Closed:  func() { p.SetFallback(false) },
		Changed: func(c vault.Change) { reports.Changed(c.Operation, c.Path, c.Version) },
	})
	if err != nil {
		g.logs.Server.Warn("VAULT_EVENTS is on, but only Vault Enterprise 1.16 and later has an event stream; changes made past the gateway are found by polling instead, which is slower: set VAULT_EVENTS to false", "cause", err)
	}
}

// tailVaultAudit reads audit records from where the configuration says.
func (g *Server) tailVaultAudit(ctx context.Context, d *changes.Deduper) error {
	records := changes.NewAuditRecords(d, g.cfg.KVMount, g.cfg.VaultNamespace)
	kind, where, _ := strings.Cut(g.cfg.VaultAuditTap, ":")
	if kind == "file" {
		return changes.Follow(ctx, where, records.NewStream())
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
	return acceptAudit(ctx, l, records)
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

// acceptAudit reads from every connection as fast as records come: Vault waits for its
// audit device.
func acceptAudit(ctx context.Context, l net.Listener, records *changes.AuditRecords) error {
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
			_, _ = io.Copy(records.NewStream(), c) // how it ends does not matter: Vault connects again
			_ = c.Close()
		})
	}
}
