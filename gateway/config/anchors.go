package config

import (
	"strings"
	"time"

	"portcullis/gateway/call"
)

// VaultAnchor begins an anchor in Vault: vault:MOUNT/PATH.
const VaultAnchor = "vault:"

// checkAnchors checks the places of checkpoints; those of other systems are checked by
// what delivers to them.
func (c *Config) checkAnchors(p *problems) {
	inVault := 0
	for _, a := range c.AuditAnchors {
		place, ok := strings.CutPrefix(a, VaultAnchor)
		if !ok {
			p.unless(!toStdout(a), "AUDIT_ANCHORS: standard output keeps nothing")
			continue
		}
		inVault++
		mount, path, _ := strings.Cut(place, "/")
		parsed, err := call.ParsePath(path)
		p.unless(mount != "" && err == nil && parsed.String() != "", "AUDIT_ANCHORS: must be vault:MOUNT/PATH, as vault:secret/portcullis/anchor")
	}
	p.unless(inVault < 2, "AUDIT_ANCHORS: there can be one vault: anchor")
	p.unless(len(c.AuditAnchors) == 0 || c.AuditFile != "-", "AUDIT_ANCHORS: with AUDIT_FILE=- there are no checkpoints")
	p.unless(c.AuditAnchorEvery >= time.Second, "AUDIT_ANCHOR_INTERVAL: less than a second")
}

// toStdout tells whether a receiver is standard output, in whatever format.
func toStdout(receiver string) bool {
	name, _, _ := strings.Cut(receiver, "#")
	return name == "stdout"
}
