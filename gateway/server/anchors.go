package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/audit/tree"
	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/obs"
	"portcullis/gateway/sink"
	"portcullis/gateway/vault"
)

// anchors keep checkpoints of the evidence where the gateway's disk does not reach: in
// Vault, and at other systems. Whoever cuts the file's tail off cannot take those back.
type anchors struct {
	newest  atomic.Pointer[[]byte] // a signed checkpoint, nil before the first one
	vault   bool
	version int                       // of Vault's secret, as far as it is known
	known   bool                      // it is
	done    []byte                    // the checkpoint that was anchored last
	kept    atomic.Pointer[[]byte]    // the same, for the metrics
	failing atomic.Pointer[time.Time] // since when Vault has not taken the newest one, nil while it does
	sinks   *sink.Sinks
}

// vaultAnchor is the place in Vault that the configuration names: vault:MOUNT/PATH.
func vaultAnchor(c config.Config) vault.Anchor {
	for _, a := range c.AuditAnchors {
		if place, ok := strings.CutPrefix(a, config.VaultAnchor); ok {
			mount, path, _ := strings.Cut(place, "/")
			p, _ := call.ParsePath(path) // the configuration has been checked
			return vault.Anchor{Mount: mount, Path: p}
		}
	}
	return vault.Anchor{}
}

func (g *Server) openAnchors() (err error) {
	g.anchors.vault = vaultAnchor(g.cfg).Mount != ""
	conf := g.sinkConfig()
	conf.URLs, conf.Stdout, conf.Formats = nil, nil, nil
	if conf.Spool != "" {
		conf.Spool = filepath.Join(conf.Spool, "anchors")
	}
	for _, a := range g.cfg.AuditAnchors {
		if !strings.HasPrefix(a, config.VaultAnchor) {
			conf.URLs = append(conf.URLs, a)
		}
	}
	if g.anchors.sinks, err = sink.New(conf); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "AUDIT_SINKS", "AUDIT_ANCHORS"))
	}
	return nil
}

// signed is called with each new checkpoint. It keeps the newest one alone.
func (g *Server) signed(checkpoint []byte) { g.anchors.newest.Store(&checkpoint) }

// keepAnchored anchors the newest checkpoint now and then, until ctx ends.
func (g *Server) keepAnchored(ctx context.Context) {
	if len(g.cfg.AuditAnchors) == 0 {
		return
	}
	var delivery sync.WaitGroup
	delivery.Go(func() { g.anchors.sinks.Run(ctx) })
	defer delivery.Wait()
	t := time.NewTicker(g.cfg.AuditAnchorEvery)
	defer t.Stop()
	for {
		if err := g.anchorNow(ctx); err != nil && ctx.Err() == nil {
			g.logs.Server.Warn("the newest checkpoint of the evidence is not anchored; it is tried again", "cause", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// anchorNow anchors the newest checkpoint, unless it is anchored.
func (g *Server) anchorNow(ctx context.Context) error {
	a := &g.anchors
	newest := a.newest.Load()
	if newest == nil || string(*newest) == string(a.done) {
		return nil
	}
	if a.vault {
		err := g.anchorInVault(ctx, *newest)
		a.took(err, time.Now())
		if err != nil {
			return err
		}
	}
	if err := a.offer(*newest); err != nil {
		return err
	}
	a.done = *newest
	a.kept.Store(newest)
	return nil
}

// took notes whether Vault has taken a checkpoint.
func (a *anchors) took(err error, now time.Time) {
	if err == nil {
		a.failing.Store(nil)
	} else {
		a.failing.CompareAndSwap(nil, &now)
	}
}

// anchorLast signs and anchors what the calls have left on record, while Vault can still
// be reached: what comes behind it is the gateway's own leaving. A Vault that is away does
// not hold the end up.
func (g *Server) anchorLast(ctx context.Context) {
	if len(g.cfg.AuditAnchors) == 0 && g.cfg.AuditSignTransit == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sinksTimeout)
	defer cancel()
	if err := g.audit.Checkpoint(ctx); err != nil {
		g.logs.Server.Error("the end of the evidence is not signed: keep a copy of it elsewhere; the next start signs it", "cause", err)
	}
	if err := g.anchorNow(ctx); err != nil {
		g.logs.Server.Error("the last checkpoint of the evidence is not anchored: keep a copy of it elsewhere", "cause", err)
	}
}

// anchorsPart reports the anchors, as sinksPart does the sinks: calls are served
// without a witness, and an operator should know.
func (g *Server) anchorsPart() obs.Part {
	var parts []string
	if a := &g.anchors; a.vault {
		text := "vault: ready"
		if since := a.failing.Load(); since != nil {
			text = "vault: degraded: takes no checkpoint since " + since.UTC().Format(time.RFC3339)
		}
		parts = append(parts, text)
	}
	return obs.Part{OK: true, Detail: strings.Join(append(parts, statusOf(g.anchors.sinks)...), "; ")}
}

// gaugeCheckpoints adds when the newest checkpoint was signed, and the one that was
// anchored last, to the metrics.
func (g *Server) gaugeCheckpoints() {
	signedAt := func(p *atomic.Pointer[[]byte]) func() float64 {
		return func() float64 {
			text := p.Load()
			if text == nil {
				return 0
			}
			c, err := tree.ParseCheckpoint(*text)
			if err != nil {
				return 0
			}
			return float64(c.Time.Unix())
		}
	}
	if g.cfg.AuditFile != audit.Stdout {
		g.meter.Gauge("portcullis_audit_checkpoint_timestamp_seconds", signedAt(&g.anchors.newest))
	}
	if len(g.cfg.AuditAnchors) > 0 {
		g.meter.Gauge("portcullis_audit_anchored_timestamp_seconds", signedAt(&g.anchors.kept))
	}
}

// offer hands a checkpoint to the other systems.
func (a *anchors) offer(checkpoint []byte) error {
	if a.sinks.Len() == 0 {
		return nil
	}
	sum := sha256.Sum256(checkpoint)
	line, err := json.Marshal(map[string]any{
		"type": "checkpoint", "time": time.Now().UTC(), "sha256": hex.EncodeToString(sum[:]), "checkpoint": string(checkpoint),
	})
	if err == nil {
		a.sinks.Offer(line)
	}
	return err
}

// close offers the checkpoint of the last line, which is signed when the log is closed,
// and delivers it until ctx ends. Vault has been left by then.
func (a *anchors) close(ctx context.Context) error {
	var err error
	if newest := a.newest.Load(); newest != nil && string(*newest) != string(a.done) {
		err = a.offer(*newest)
	}
	return errors.Join(err, a.sinks.Close(ctx))
}

func (g *Server) anchorInVault(ctx context.Context, checkpoint []byte) error {
	a := &g.anchors
	if !a.known {
		kept, version, err := g.vault.ReadAnchor(ctx)
		if err != nil {
			return err
		}
		g.compareAnchor(kept, checkpoint)
		a.version, a.known = version, true
	}
	version, err := g.vault.WriteAnchor(ctx, checkpoint, a.version)
	if err != nil {
		a.known = false // what is there now is read before the next try
		return err
	}
	a.version = version
	return nil
}

// compareAnchor says when Vault holds a checkpoint of more lines than there are.
func (g *Server) compareAnchor(kept vault.Anchored, checkpoint []byte) {
	before, err := tree.ParseCheckpoint([]byte(kept.Checkpoint))
	now, nerr := tree.ParseCheckpoint(checkpoint)
	if err != nil || nerr != nil || before.Seq <= now.Seq {
		return
	}
	g.logs.Server.Error("the evidence is shorter than Vault's checkpoint of it: its end was cut off, or another gateway writes to the same anchor; give each gateway an AUDIT_ANCHORS of its own, and run portcullis audit verify --since with the checkpoint that Vault holds",
		"lines_in_vault", before.Seq, "lines", now.Seq)
}
