package server

import (
	"log/slog"
	"net/url"
	"strings"

	"portcullis/gateway/config"
	"portcullis/gateway/obs"
)

func (g *Server) logConfig() obs.LogConfig {
	c := g.cfg
	keep := c.LogKeep
	if keep == 0 {
		keep = -1
	}
	return obs.LogConfig{
		Dir: c.LogDir, Level: &g.level, Stderr: g.options.Stderr, Redact: g.baseRedactor.AppendFor, Filter: g.filterLog,
		Rotate: obs.Rotation{MaxBytes: c.LogMaxBytes, MaxAge: c.LogMaxAge, Keep: keep, Compress: c.LogCompress},
	}
}

// started logs what runs now, and where.
func (g *Server) started(servers []listener) {
	addrs := make([]string, len(servers))
	for i, s := range servers {
		addrs[i] = s.url()
	}
	sinks := []string{}
	for _, s := range g.sinks.Status() {
		sinks = append(sinks, s.Name)
	}
	g.logs.Server.Info("the gateway has started", slog.String("version", g.options.Version), obs.Own("listening", strings.Join(addrs, " ")),
		obs.Own("authentication", strings.Join(Ways(g.cfg), ", ")), slog.String("revision", g.policy.Status().Revision),
		obs.Own("vault", bareURL(g.cfg.VaultAddr)), obs.Own("audit_file", g.cfg.AuditFile), obs.Own("audit_sinks", strings.Join(sinks, " ")),
		obs.Own("config_file", g.cfg.File))
}

// bareURL is a URL without what could be a credential.
func bareURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// Ways are the ways in which callers can prove who they are.
func Ways(c config.Config) (out []string) {
	add := func(ok bool, what string) {
		if ok {
			out = append(out, what)
		}
	}
	add(c.APIKeyEnabled && (c.APIKeysJSON != "" || c.APIKeysFile != ""), "API keys")
	if c.JWTEnabled {
		add(c.JWTSecret != "", "tokens signed with JWT_HS256_SECRET")
		add(c.JWKSURL != "" || c.JWKSFile != "" || c.JWTDiscovery, "tokens of "+strings.Join(c.JWTIssuer, " or "))
		for _, i := range c.Issuers {
			out = append(out, "tokens of "+strings.Join(i.Names, " or "))
		}
	}
	add(c.TLSClientAuth == "request" || c.TLSClientAuth == "require", "client certificates")
	add(c.MTLSEnabled, "client certificates of TRUSTED_PROXIES")
	add(len(out) == 0, "none: every caller is refused")
	return out
}
