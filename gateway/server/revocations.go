package server

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"portcullis/gateway/auth/deny"
	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/obs"
	"portcullis/gateway/retry"
	"portcullis/gateway/store/firm"
	"portcullis/gateway/vault"
)

// revoked is the document with what has been revoked: the lines of a deny list.
const revoked = "revocations"

// How often a replica looks for revocations that others have made: at the shared store's
// count of them, at Vault without a shared store, and at Vault however little is counted.
const (
	newsEvery = 250 * time.Millisecond
	firmEvery = 500 * time.Millisecond
	firmRare  = 5 * time.Second
)

// revocations is what this replica knows of the document.
type revocations struct {
	mu      sync.Mutex // guards what follows, and makes one reading at a time
	version int
	news    int64 // count in the shared store before it was read
	read    time.Time
	err     error // why it could not be read
}

// vaultDocuments is where the configuration keeps what must not be lost: vault:MOUNT/PATH.
func vaultDocuments(c config.Config) vault.Documents {
	mount, path := c.FirmPlace()
	p, _ := call.ParsePath(path) // the configuration has been checked
	return vault.Documents{Mount: mount, Path: p}
}

// openFirmStore takes the store that is configured, and reads from it whom not to serve. A
// gateway that cannot do that does not start.
func (g *Server) openFirmStore(ctx context.Context) error {
	g.firm = firm.NewFile(g.state)
	if place := vaultDocuments(g.cfg); place.Mount != "" {
		g.firm = firm.Vault{Client: g.vault}
		if _, _, err := firm.Update(ctx, g.firm, "started", startedNow); err != nil {
			return fmt.Errorf("FIRM_STORE: %s cannot be used (%s): %s", g.cfg.FirmStore, call.AsError(err).Msg, firmRemedy(place))
		}
	}
	return g.readRevocations(ctx)
}

func startedNow([]byte) ([]byte, error) { return []byte(time.Now().UTC().Format(time.RFC3339)), nil }

// readRevocations brings what is revoked into force.
func (g *Server) readRevocations(ctx context.Context) error {
	r := &g.revocations
	r.mu.Lock()
	defer r.mu.Unlock()
	data, version, err := g.firm.Read(ctx, revoked)
	if err == nil && (version != r.version || r.read.IsZero()) {
		err = g.auth.ReplaceDenied(data)
	}
	if ctx.Err() == nil && (err == nil) != (r.err == nil) {
		g.logs.Server.Warn("whether the revocations can be read has changed; those that are known stay in force", "cause", err)
	}
	if r.read, r.err = time.Now(), err; err != nil {
		return fmt.Errorf("the revocations in %s cannot be read: %w", g.cfg.FirmStore, err)
	}
	r.version = version
	return nil
}

// keepRevocations looks for what other replicas have revoked, until ctx ends. A file is
// nobody else's.
func (g *Server) keepRevocations(ctx context.Context) {
	if g.firm == nil { // a client on stdin is served, without Serve
		if err := g.openFirmStore(ctx); err != nil {
			g.logs.Server.Error("what has been revoked is not known", "cause", err)
		}
	}
	if mount, _ := g.cfg.FirmPlace(); mount == "" {
		return
	}
	for retry.Sleep(ctx, retry.Jitter(newsEvery, 4)) {
		if g.revocationsDue(ctx) {
			_ = g.readRevocations(ctx) // is logged and shown by /readyz
		}
	}
}

// revocationsDue reports whether there may be news.
func (g *Server) revocationsDue(ctx context.Context) bool {
	wait, news := firmEvery, int64(0)
	if g.store != nil {
		if n, err := g.store.Count(ctx, revoked, 0); err == nil {
			wait, news = firmRare, n
		}
	}
	r := &g.revocations
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := wait == firmRare && news != r.news
	if changed {
		r.news = news
	}
	return changed || r.err != nil || time.Since(r.read) >= wait
}

// changeRevocations changes what is revoked, here at once and for the others within a
// second.
func (g *Server) changeRevocations(ctx context.Context, change func([]byte) ([]byte, error)) error {
	if _, _, err := firm.Update(ctx, g.firm, revoked, change); err != nil {
		return err
	}
	if g.store != nil {
		_, _ = g.store.Count(ctx, revoked, 1) // without a shared store the others look at Vault
	}
	return g.readRevocations(ctx)
}

// shutOut denies and revokes. It returns until when the denial holds.
func (g *Server) shutOut(ctx context.Context, e deny.Entry) (until string, err error) {
	if mount, _ := g.cfg.FirmPlace(); g.cfg.DenyListFile != "" && mount == "" {
		until = "removed from DENY_LIST_FILE"
		err = deny.Revoke(io.Discard, g.cfg.DenyListFile, e)
	} else {
		until = "POST /readmit takes it back"
		err = g.changeRevocations(ctx, func(old []byte) ([]byte, error) { return deny.With(old, e, time.Now()) })
	}
	if err != nil {
		return "", call.Wrap(call.Internal, "the revocation could not be kept", err)
	}
	if !e.Until.IsZero() {
		until = e.Until.UTC().Format(time.RFC3339)
	}
	g.auth.Reload()
	e = e.Mapped()
	key := (&call.Caller{Subject: e.Subject, Tenant: e.Tenant}).Key()
	return until, g.vault.RevokeCaller(ctx, key)
}

func (g *Server) readmit(ctx context.Context, subject, tenant string) error {
	found := 0
	err := g.changeRevocations(ctx, func(old []byte) (rest []byte, err error) {
		rest, found, err = deny.Without(old, subject, tenant)
		return rest, err
	})
	if err != nil {
		return call.Wrap(call.Internal, "the revocation could not be taken back", err)
	}
	if found == 0 {
		return call.Errorf(call.NotFound, "no revocation names the subject; DENY_LIST_FILE is edited by hand")
	}
	return nil
}

// revocationsPart reports whether this replica knows what others have revoked.
func (g *Server) revocationsPart() obs.Part {
	r := &g.revocations
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return obs.Part{OK: true, Detail: "degraded: FIRM_STORE cannot be read; what was revoked before is in force"}
	}
	return obs.Part{OK: true, Detail: "ready"}
}
