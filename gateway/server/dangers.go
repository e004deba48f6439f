package server

import (
	"context"

	"portcullis/gateway/config"
)

// warnOf logs a danger of the configuration, with what follows and what to do.
func (g *Server) warnOf(d config.Found) {
	g.logs.Server.Warn("dangerous configuration", "what", d.What, "danger", d.ID, "where", d.Where, "consequence", d.Risk, "do", d.Do)
}

// dangerous says which dangers the configuration has; what is wrong with single files is
// told by privateFiles.
func dangerous(_ context.Context, c config.Config) (out []Finding) {
	for _, d := range c.Dangerous() {
		if d.ID != config.OpenFiles {
			out = append(out, dangerFinding(d))
		}
	}
	return out
}

func dangerFinding(d config.Found) Finding {
	return Finding{"danger " + d.ID, warning, d.What + " (" + d.Where + "): " + d.Risk, d.Do}
}

// DangersOf are sentences about the dangers of a configuration and of what Vault said.
func DangersOf(c config.Config, v VaultFound) (out []string) {
	for _, d := range c.Dangerous() {
		out = append(out, d.String())
	}
	if v.RootToken {
		out = append(out, config.DangerOf(config.RootToken, "VAULT_TOKEN").String())
	}
	return out
}
