package server

import (
	"fmt"
	"strings"
	"time"

	"portcullis/gateway/obs"
)

func (g *Server) policyPart() obs.Part {
	s := g.policy.Status()
	if s.Expired {
		return obs.Part{Detail: "the newest policy has been refused for too long: every call is denied"}
	}
	if s.LastError != "" {
		return obs.Part{OK: true, Detail: "serving revision " + s.Revision + "; the newest policy was refused: " + firstFinding(s.LastError)}
	}
	if len(s.Unfulfilled) > 0 {
		return obs.Part{OK: true, Detail: "revision " + s.Revision + "; it demands a transform that is not loaded, so some calls are refused; the log says which"}
	}
	detail := "revision " + s.Revision
	if len(s.Removed) > 0 {
		detail += "; the policy before also had " + firstFinding(strings.Join(s.Removed, ", "))
	}
	return obs.Part{OK: true, Detail: detail}
}

// parts are what /readyz reports beside Vault.
func (g *Server) parts() map[string]func() obs.Part {
	parts := map[string]func() obs.Part{"policy": g.policyPart, "auth": g.authPart, "audit": g.auditPart, "transforms": g.transformPart, "budgets": g.budgetPart, "engines": g.enginesPart, "serving": g.servingPart}
	if g.cfg.PolicyShadow != "" {
		parts["policy_shadow"] = g.shadowPart
	}
	if mount, _ := g.cfg.FirmPlace(); mount != "" {
		parts["revocations"] = g.revocationsPart
	}
	if g.store != nil {
		parts["store"] = g.storePart
	}
	if g.sinks.Len() > 0 {
		parts["audit_sinks"] = g.sinksPart
	}
	if len(g.cfg.AuditAnchors) > 0 {
		parts["audit_anchors"] = g.anchorsPart
	}
	return parts
}

// shadowPart reports the candidate. Whatever is wrong with it, calls are served.
func (g *Server) shadowPart() obs.Part {
	s := g.policy.Status().Shadow
	detail := "revision " + s.Revision + ", evaluated and never enforced"
	switch {
	case s.Canary > 0:
		detail = fmt.Sprintf("revision %s decides for %v%% of the callers", s.Revision, s.Canary)
	case s.Returned != "":
		detail += "; POLICY_CANARY: " + s.Returned
	}
	if s.LastError != "" {
		detail += "; the newest candidate was refused: " + firstFinding(s.LastError)
	}
	return obs.Part{OK: true, Detail: detail}
}

// firstFinding is the first line of an error that says something, cut to a length
// that fits a status page; the log has all of them.
func firstFinding(err string) string {
	err = strings.TrimPrefix(err, "the policy is refused:")
	line, _, _ := strings.Cut(strings.TrimSpace(err), "\n")
	if len(line) > maxDetail {
		line = strings.ToValidUTF8(line[:maxDetail], "") + "…"
	}
	return line
}

// maxDetail bounds the text of one part, in bytes.
const maxDetail = 300

// enginesPart reports secrets engines beside KV that are not what they should be: calls
// that need them fail, the others do not.
func (g *Server) enginesPart() obs.Part {
	if problems := g.vault.Engines(); len(problems) > 0 {
		return obs.Part{OK: true, Detail: "degraded: " + strings.Join(problems, "; ")}
	}
	return obs.Part{OK: true, Detail: "ready"}
}

func (g *Server) authPart() obs.Part {
	if err := g.auth.Health(); err != nil {
		return obs.Part{OK: true, Detail: "degraded: a key, a list or a certificate could not be read again, the log says why"}
	}
	return obs.Part{OK: true, Detail: "ready"}
}

func (g *Server) auditPart() obs.Part {
	if err := g.audit.Check(); err != nil {
		return obs.Part{Detail: "the audit file cannot be opened"}
	}
	if since := g.audit.UnsignedSince(); !since.IsZero() {
		return obs.Part{OK: true, Detail: "degraded: no checkpoint could be signed since " + since.UTC().Format(time.RFC3339) + ", the log says why; lines are written all the same"}
	}
	return obs.Part{OK: true, Detail: "ready"}
}

func (g *Server) transformPart() obs.Part {
	s := g.transforms.Status()
	if !s.Ready() {
		return obs.Part{OK: true, Detail: "degraded: a module is in quarantine or could not be loaded"}
	}
	return obs.Part{OK: true, Detail: "ready"}
}

// budgetPart names the budgets of which everybody's share is used up. That does not
// make the gateway unready: what it has promised goes on, and another replica may be
// as full.
func (g *Server) budgetPart() obs.Part { return obs.Part{OK: true, Detail: g.budgets.Describe()} }

// servingPart is not ready once the gateway was told to stop: calls are served for
// SHUTDOWN_DELAY, and new ones should go elsewhere.
func (g *Server) servingPart() obs.Part {
	if g.leaving.Load() {
		return obs.Part{Detail: "the gateway is stopping: send calls elsewhere"}
	}
	return obs.Part{OK: true, Detail: "ready"}
}
