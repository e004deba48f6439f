package server

import (
	"context"
	"errors"
	"strings"

	"portcullis/gateway/config"
)

// reloadOnHangup reads everything again that can be read again when the operator
// sends SIGHUP. What cannot be loaded changes nothing; the log says what it was, what
// came into force, and what needs a restart.
func (g *Server) reloadOnHangup(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.options.Hangups:
			g.reload(ctx)
		}
	}
}

func (g *Server) reload(ctx context.Context) {
	outcome := func(err error) string {
		if err != nil {
			return "refused, the last good one serves on: " + err.Error()
		}
		return "in force"
	}
	files := errors.Join(g.audit.Reopen(), g.logs.Reopen())
	policy, shadow := g.policy.Reread(ctx)
	transforms := g.transforms.Reload(ctx)
	g.auth.Reload()
	applied, restart := g.reread()
	g.logs.Server.Info("SIGHUP: everything that can be read again has been",
		"files", opened(files), "policy", outcome(policy), "policy_shadow", outcome(shadow), "transforms", outcome(transforms), "credentials", outcome(g.auth.Health()),
		"settings_applied", strings.Join(applied, " "), "settings_that_need_a_restart", strings.Join(restart, " "))
}

func opened(err error) string {
	if err != nil {
		return "opened again; closing the old ones failed: " + err.Error()
	}
	return "opened again"
}

// reread reads the configuration again. It returns the names of the keys that have
// changed since the start: those that are in force now, and those that need a restart.
func (g *Server) reread() (applied, restart []string) {
	if g.options.Reread == nil {
		return nil, nil
	}
	c, err := g.options.Reread()
	if err != nil {
		g.logs.Server.Error("SIGHUP: the configuration is wrong, so the running one stays", "cause", err)
		configRefused.Inc()
		return nil, nil
	}
	configReloads.Inc()
	for _, key := range config.Changed(g.cfg, c) {
		switch key {
		case "LOG_LEVEL":
			g.level.Set(level(c.LogLevel))
			applied = append(applied, key)
		default:
			restart = append(restart, key)
		}
	}
	return applied, restart
}
