package config

import (
	"errors"
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

// SigningKey is the mount and the name of the transit key that signs checkpoints; both are
// empty for a key in a file.
func (c *Config) SigningKey() (mount, name string) {
	i := strings.LastIndexByte(c.AuditSignTransit, '/')
	if i < 0 {
		return "", ""
	}
	return c.AuditSignTransit[:i], c.AuditSignTransit[i+1:]
}

func (c *Config) checkSigningKey(p *problems) {
	if c.AuditSignTransit == "" {
		return
	}
	mount, name := c.SigningKey()
	_, err := call.ParseName(name)
	for segment := range strings.SplitSeq(mount, "/") { // both stand in paths of Vault's API as they are
		_, serr := call.ParseName(segment)
		err = errors.Join(err, serr)
	}
	p.unless(err == nil, "AUDIT_SIGN_TRANSIT_KEY: must be MOUNT/NAME, as transit/evidence, each of letters, digits, '_', '-' and '.'")
	p.unless(c.AuditSignKey == "", "AUDIT_SIGN_KEY_FILE and AUDIT_SIGN_TRANSIT_KEY: only one may be set")
	p.unless(c.AuditFile != "-", "AUDIT_SIGN_TRANSIT_KEY: with AUDIT_FILE=- there are no checkpoints")
}

// toStdout tells whether a receiver is standard output, in whatever format.
func toStdout(receiver string) bool {
	name, _, _ := strings.Cut(receiver, "#")
	return name == "stdout"
}
