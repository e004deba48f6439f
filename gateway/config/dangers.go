package config

import (
	"fmt"
	"slices"
	"strings"
)

// Danger is a configuration that works and exposes credentials, secrets or evidence.
type Danger struct {
	ID      string // names it in logs and findings
	What    string // the configuration
	Risk    string // what follows from it
	Do      string // what to do about it
	Refused bool   // the gateway does not start; else it says so and starts
	// found says where it is in a configuration, "" for nowhere. Without it another part
	// finds it, because a file must be parsed or Vault asked.
	found func(c *Config) string
}

// Found is a danger that is there.
type Found struct {
	Danger
	Where string // settings, without secrets
}

// String is a sentence for people.
func (f Found) String() string { return fmt.Sprintf("%s (%s): %s; %s", f.What, f.Where, f.Risk, f.Do) }

// Dangers that other parts know: RootToken is what only Vault can tell of.
const (
	RootToken = "root-token"
	OpenFiles = "open-files"
)

// Dangers are all that are known, those that are refused last.
func Dangers() []Danger {
	return slices.Concat(networkDangers(), vaultDangers(), callerDangers(), keepingDangers(), refusedDangers())
}

func networkDangers() []Danger {
	return []Danger{
		{
			ID: "plain-http", What: "callers are served plain HTTP beyond loopback", Risk: "credentials and secrets cross the network in the clear",
			Do: "set TLS_CERT_FILE and TLS_KEY_FILE, or see that nothing but a proxy that ends TLS beside the gateway can reach it", found: plainHTTP,
		},
		{
			ID: "admin-plain-http", What: "ADMIN_ADDR is beyond loopback, and speaks plain HTTP", Risk: "administrators' credentials cross the network in the clear",
			Do: "set ADMIN_ADDR to a loopback address, or let a network policy and a proxy that ends TLS stand before it", found: adminBeyond,
		},
		{
			ID: "open-metrics", What: "metrics are open beyond loopback", Risk: "whoever reaches the address learns how much is asked of which engine and what fails",
			Do: "set ADMIN_ADDR, leave ADMIN_OPEN_METRICS off, and give Prometheus a key with the scope admin:metrics", found: openMetrics,
		},
		{
			ID: "plain-redis", What: "REDIS_URL is without TLS beyond loopback", Risk: "the password of Redis crosses the network in the clear, and whoever is on the way can change rates and end sessions",
			Do: "use rediss:// and REDIS_CA", found: plainRedis,
		},
		{
			ID: "open-redis", What: "REDIS_URL has no password beyond loopback", Risk: "whoever reaches Redis can reset rates, end sessions and make events up",
			Do: "give the gateway an ACL user of its own, as replicas.md has it", found: openRedis,
		},
		{
			ID: "redis-state-key", What: "REDIS_URL has no password", Risk: "the key of MCP's requestState is made of it and of what lies in Redis, so whoever reads Redis can make up what a client was asked",
			Do: "give the gateway an ACL user with a password, also beside REDIS_CERT", found: redisStateKey,
		},
		{
			ID: "plain-sink", What: "evidence leaves over syslog+tcp beyond loopback", Risk: "who used which secret can be read on the way, and changed in the copy",
			Do: "use syslog+tls:// or https://", found: plainSink,
		},
		{
			ID: "plain-traces", What: "traces leave over http beyond loopback", Risk: "who used which secret can be read on the way, and so can OTEL_EXPORTER_OTLP_HEADERS",
			Do: "use https:// in OTEL_EXPORTER_OTLP_ENDPOINT, or a collector on this machine", found: func(c *Config) string { return plainURL("OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPEndpoint) },
		},
		{
			ID: "plain-policy", What: "the policy is fetched over http beyond loopback", Risk: "it is signed, but whoever is on the way can read it and hold a newer one back",
			Do: "use https:// in POLICY_URL", found: func(c *Config) string { return plainURL("POLICY_URL", c.PolicyURL) },
		},
	}
}

func vaultDangers() []Danger {
	return []Danger{
		{
			ID: "plain-vault", What: "Vault is reached over http beyond loopback", Risk: "the gateway's token and every secret cross the network in the clear",
			Do: "use https:// in VAULT_ADDR, and VAULT_CACERT when its authority is your own", found: plainVault,
		},
		{
			ID: "unverified-vault", What: "VAULT_SKIP_VERIFY is on", Risk: "whoever is on the way can be Vault, and gets the gateway's token and what is written",
			Do: "turn it off, and set VAULT_CACERT", found: func(c *Config) string { return only(c.VaultSkipVerify, "VAULT_SKIP_VERIFY") },
		},
		{
			ID: "two-logins", What: "more than one way to log in to Vault is set", Risk: "one is used, AppRole before JWT before token file before token, and the others stay valid unused",
			Do: "keep one, and revoke the others in Vault", found: twoLogins,
		},
		{
			ID: RootToken, What: "the gateway's own token at Vault is a root token", Risk: "whoever gets hold of the gateway has all of Vault",
			Do: "log in with an AppRole that has the policy of vault-side.md, and revoke the root token (vault token revoke)",
		},
		{
			ID: "plain-issuer", What: "Vault fetches the gateway's public keys over http beyond loopback", Risk: "whoever is on the way can be every caller at Vault",
			Do: "use https:// in OIDC_ISSUER, or set OIDC_ISSUER_KEY_FILE and run portcullis vault-setup", found: plainIssuer,
		},
	}
}

func callerDangers() []Danger {
	return []Danger{
		{
			ID: "keys-in-clear", What: "API keys are in the configuration in the clear", Risk: "whoever reads the environment or the file is every caller",
			Do: "use API_KEYS_FILE, which holds hashes (portcullis keys new)", found: func(c *Config) string {
				return only(c.APIKeyEnabled && c.APIKeysJSON != "" && !c.Loopback(), "API_KEYS_JSON")
			},
		},
		{
			ID: "any-token", What: "tokens of any issuer or for any audience are accepted", Risk: "a token that was made for another service opens this one",
			Do: "set JWT_VALIDATE_ISSUER and JWT_VALIDATE_AUDIENCE back to true, and JWT_ISSUER and JWT_AUDIENCE to what the tokens say", found: anyToken,
		},
		{
			ID: "shared-subjects", What: "SUBJECT_BINDING is shared", Risk: "whoever names subjects at an issuer or the client CA names the callers of API keys too",
			Do: "use bound, and give each issuer a tenant or a text before its subjects", found: func(c *Config) string { return only(c.SubjectBinding == "shared", "SUBJECT_BINDING") },
		},
		{
			ID: "everybody-a-proxy", What: "TRUSTED_PROXIES holds every address", Risk: "whoever calls says itself from where, and bounds of an address hold for nobody",
			Do: "list the addresses of the proxies", found: everybodyAProxy,
		},
		{
			ID: "no-rates", What: "RATE_LIMIT_ENABLED is off", Risk: "one caller in a loop, or with a leaked key, reads as fast as Vault answers",
			Do: "turn it on, and give callers who need more another tier", found: func(c *Config) string { return only(!c.RateEnabled, "RATE_LIMIT_ENABLED") },
		},
	}
}

func keepingDangers() []Danger {
	return []Danger{
		{
			ID: OpenFiles, What: "files with secrets can be read or changed by other users of this machine", Risk: "whoever reads them is the gateway or a caller",
			Do: "chmod o=,g-w FILE", found: openFiles,
		},
		{
			ID: "revocations-alone", What: "replicas share Redis, and each keeps revocations for itself", Risk: "a caller that was revoked at one replica is served by the others",
			Do: "set FIRM_STORE=vault:MOUNT/PATH", found: func(c *Config) string {
				return only(c.RedisURL != "" && c.FirmStore == "file", "REDIS_URL, FIRM_STORE")
			},
		},
		{
			ID: "revocations-lost", What: "revocations are kept in memory alone", Risk: "a caller that was revoked on ADMIN_ADDR is served again after a restart",
			Do: "set STATE_DIR, or FIRM_STORE=vault:MOUNT/PATH", found: func(c *Config) string {
				return only(c.AdminAddr != "" && c.StateDir == "" && c.FirmStore == "file" && c.DenyListFile == "", "ADMIN_ADDR, LOG_DIR")
			},
		},
	}
}

func refusedDangers() []Danger {
	return []Danger{
		{
			ID: "identity-from-anybody", What: "AUTH_MTLS_ENABLED is on and TRUSTED_PROXIES holds every address", Risk: "whoever calls writes itself into a header and is that caller",
			Do: "list the addresses of the proxies", Refused: true, found: func(c *Config) string { return only(c.MTLSEnabled && everybodyAProxy(c) != "", "TRUSTED_PROXIES") },
		},
		{
			ID: "plain-policy-token", What: "the token of POLICY_URL would be sent over http beyond loopback", Risk: "it can be read on the way",
			Do: "use https:// in POLICY_URL", Refused: true, found: func(c *Config) string {
				return only(c.PolicyToken != "" && plainURL("POLICY_URL", c.PolicyURL) != "", "POLICY_URL_TOKEN_FILE")
			},
		},
		{
			ID: "plain-keys", What: "keys of an issuer would be fetched over http beyond loopback", Risk: "whoever is on the way can be every caller",
			Do: "use https:// in JWT_JWKS_URL or jwks_url, or a file", Refused: true,
		},
		{
			ID: "weak-key", What: "an API key is shorter than 24 bytes beyond loopback", Risk: "it can be guessed", Do: "make one with portcullis keys new", Refused: true,
		},
		{
			ID: "open-tap", What: "VAULT_AUDIT_TAP listens beyond loopback", Risk: "whoever reaches it makes events up", Do: "give it a loopback address, or use file:PATH", Refused: true,
		},
	}
}

// Dangerous are the dangers of the configuration that can be told from it and its files.
func (c *Config) Dangerous() (out []Found) {
	for _, d := range Dangers() {
		if d.found == nil {
			continue
		}
		if where := d.found(c); where != "" {
			out = append(out, Found{d, where})
		}
	}
	return out
}

// DangerOf is the danger with an id, found somewhere.
func DangerOf(id, where string) Found {
	all := Dangers()
	i := slices.IndexFunc(all, func(d Danger) bool { return d.ID == id })
	return Found{all[i], where}
}

// refuse makes problems of the dangers that are refused.
func (c *Config) refuse(p *problems) {
	for _, f := range c.Dangerous() {
		p.unless(!f.Refused, "%s: %s: %s; %s", f.Where, f.What, f.Risk, f.Do)
	}
}

// DangersMarkdown is the page of all dangers.
func DangersMarkdown() []byte {
	var b strings.Builder
	b.WriteString("# Dangerous configurations\n\nGenerated from gateway/config. `TestDangersAreSaidOrRefused` shows each row, `TestTheStartSaysDangers` the log.\n\n" +
		"## Said\n\nThe gateway starts. It logs each one at WARN with `danger`, `where`, `consequence` and `do`; `portcullis config check` prints them, and\n" +
		"`portcullis doctor` has each as a warning `danger ID`.\n")
	rows := func(refused bool) {
		b.WriteString("\n| id | what is configured | what follows | what to do |\n|---|---|---|---|\n")
		for _, d := range Dangers() {
			if d.Refused == refused {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.ID, d.What, d.Risk, d.Do)
			}
		}
	}
	rows(false)
	b.WriteString("\n## Refused\n\nThe gateway does not start, `portcullis config check` says why, and the exit code is 2.\n")
	rows(true)
	return []byte(b.String())
}
