package config

import (
	"fmt"
	"slices"
	"strings"

	"portcullis/gateway/call"
)

// Mount is one entry of [[mounts]] in the configuration file: a secrets engine in Vault.
// Lists as KV_MOUNTS declare the same in the environment.
type Mount struct {
	Engine  string `cfg:"engine"`  // kv, transit, database, ssh, pki, totp or creds
	Path    string `cfg:"path"`    // where it is in Vault, slashes included
	Version int    `cfg:"version"` // of a KV engine, 1 or 2; found out when it is left out
	Default bool   `cfg:"default"` // the one that is meant where none is named
	Prefix  string `cfg:"prefix"`  // of a KV engine: where callers' own secrets live, as {tenant}/{subject}; the callers' own prefix when left out
}

// engine is a kind of secrets engine with its settings.
type engine struct {
	name    string // as [[mounts]] has it
	of      string // as the catalogue and grants have it
	setting string // of the default mount
	path    *string
	list    *[]string // all mounts, the default one first
}

func (c *Config) engines() []engine {
	return []engine{
		{"kv", "kv", "KV_MOUNT", &c.KVMount, &c.KVMounts},
		{"transit", "transit", "TRANSIT_MOUNT", &c.TransitMount, &c.TransitMounts},
		{"database", "db", "DATABASE_MOUNT", &c.DatabaseMount, &c.DatabaseMounts},
		{"ssh", "ssh", "SSH_MOUNT", &c.SSHMount, &c.SSHMounts},
		{"pki", "pki", "PKI_MOUNT", &c.PKIMount, &c.PKIMounts},
		{"totp", "totp", "TOTP_MOUNT", &c.TOTPMount, &c.TOTPMounts},
		{"creds", "creds", "CREDS_MOUNT", &c.CredsMount, &c.CredsMounts},
	}
}

// checkMounts checks where the engines are, and puts lists and entries together. A slash
// at an end is what Vault's own listings have, and means nothing.
func (c *Config) checkMounts(p *problems) {
	at := map[string]string{}
	c.More = map[string][]Mount{}
	c.checkEntries(p)
	for _, e := range c.engines() {
		*e.path = trimMount(*e.path)
		if len(*e.list) > 0 {
			*e.path = trimMount((*e.list)[0])
			for _, path := range (*e.list)[1:] {
				c.More[e.of] = append(c.More[e.of], Mount{Engine: e.name, Path: trimMount(path)})
			}
		}
		c.addEntries(p, e)
		if *e.path == "" && e.of == "creds" {
			p.unless(len(c.More[e.of]) == 0, "mounts: one of the engine creds must be the default")
			continue // nobody has declared one
		}
		e.check(p, at, *e.path, e.setting)
		for _, m := range c.More[e.of] {
			e.check(p, at, m.Path, e.setting+"S")
		}
	}
	c.checkVersions(p)
}

// checkVersions wants the versions of KV mounts where Vault does not tell the gateway: of a
// mount in which a token can do nothing Vault says nothing (Vault API,
// sys/internal/ui/mounts), and with VAULT_CALLERS=jwt the gateway's own can do nothing there.
func (c *Config) checkVersions(p *problems) {
	for _, m := range c.More["kv"] {
		p.unless(c.VaultCallers != "jwt" || m.Version != 0,
			"mounts: %s needs version 1 or 2 when VAULT_CALLERS is jwt, since Vault does not tell the gateway: declare it in MOUNTS ([[mounts]] in the file), not in KV_MOUNTS", m.Path)
	}
}

func trimMount(path string) string { return strings.Trim(strings.TrimSpace(path), "/") }

// check holds one mount against what a mount can be, and against all before it.
func (e engine) check(p *problems, at map[string]string, path, setting string) {
	_, err := call.ParsePlain(path)
	p.unless(err == nil && !strings.Contains(path, ":"), "%s: not a clean path, as team/kv is", setting)
	p.unless(!strings.HasPrefix(path, "sys/") && !strings.HasPrefix(path, "auth/") && path != "sys", "%s: a path of Vault's own, not of a secrets engine", setting)
	if other := at[path]; other != "" {
		p.unless(false, "%s and %s: both name %s", other, setting, path)
	}
	at[path] = setting
}

// checkEntries checks what entries of [[mounts]] say by themselves.
func (c *Config) checkEntries(p *problems) {
	for n := range c.Mounts {
		m := &c.Mounts[n]
		m.Path = trimMount(m.Path)
		known := slices.ContainsFunc(c.engines(), func(e engine) bool { return e.name == m.Engine })
		p.unless(known, "mounts entry %d: engine: must be one of kv, transit, database, ssh, pki, totp, creds", n+1)
		p.unless(m.Version >= 0 && m.Version <= 2 && (m.Version == 0 || m.Engine == "kv"), "mounts entry %d: version: 1 or 2, of a KV engine", n+1)
		p.unless(m.Prefix == "" || m.Engine == "kv" && !m.Default, "mounts entry %d: prefix: only of a further KV engine; DEFAULT_PREFIX is that of the default one", n+1)
		p.unless(!m.Default || m.Version != 1, "mounts entry %d: the default KV engine must be version 2", n+1)
		if m.Prefix != "" {
			p.checkTemplate(fmt.Sprintf("mounts entry %d: prefix", n+1), m.Prefix)
		}
	}
}

// checkTemplate wants a prefix that tells callers apart: {tenant}-{subject} is a-b-c to b-c
// of the tenant a and to c of the tenant a-b.
func (p *problems) checkTemplate(key, prefix string) {
	_, err := call.ParsePlain(strings.NewReplacer("{tenant}", "t", "{subject}", "s").Replace(prefix))
	p.unless(err == nil && strings.Contains(prefix, "{subject}"), "%s: want a clean path with {subject} in it, and {tenant} where callers have tenants, as {tenant}/{subject}", key)
	for segment := range strings.SplitSeq(prefix, "/") {
		p.unless(strings.Count(segment, "{tenant}")+strings.Count(segment, "{subject}") < 2, "%s: {tenant} and {subject} in one segment would give two callers one prefix: put a slash between them", key)
	}
}

// addEntries adds the entries of [[mounts]] that are of an engine.
func (c *Config) addEntries(p *problems, e engine) {
	defaults := 0
	for _, m := range c.Mounts {
		switch {
		case m.Engine != e.name:
		case m.Default:
			*e.path = m.Path
			defaults++
		default:
			c.More[e.of] = append(c.More[e.of], m)
		}
	}
	p.unless(defaults <= 1, "mounts: engine %s has more than one default", e.name)
	p.unless(defaults == 0 || len(*e.list) == 0, "mounts and %sS: both say which mount is the default", e.setting)
}
