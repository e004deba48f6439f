package config

import (
	"fmt"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"portcullis/gateway/call"
)

// This file finds in a configuration the dangers that dangers.go lists.

func only(found bool, where string) string {
	if found {
		return where
	}
	return ""
}

// plainURL is the setting and the address when it is http beyond loopback.
func plainURL(setting, address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || loopback(u.Hostname()) {
		return ""
	}
	return setting + "=http://" + u.Host
}

func plainHTTP(c *Config) string {
	return only(c.TLSCertFile == "" && !c.Loopback(), "HOST="+c.Host)
}

func adminBeyond(c *Config) string {
	return only(c.AdminAddr != "" && !c.AdminLoopback(), "ADMIN_ADDR="+c.AdminAddr)
}

func openMetrics(c *Config) string {
	switch {
	case c.AdminAddr == "" && !c.Loopback():
		return "HOST=" + c.Host
	case c.AdminMetrics && adminBeyond(c) != "":
		return "ADMIN_OPEN_METRICS"
	}
	return ""
}

// redisBeyond is whether a host of REDIS_URL is beyond loopback, whether it is without
// TLS, and whether it has no password.
func redisBeyond(c *Config) (beyond, plain, open bool) {
	scheme, rest, ok := strings.Cut(c.RedisURL.Reveal(), "://")
	if !ok {
		return false, false, false
	}
	at := strings.LastIndexByte(rest, '@')
	hosts, _, _ := strings.Cut(rest[at+1:], "/")
	for host := range strings.SplitSeq(hosts, ",") {
		u := url.URL{Host: host}
		beyond = beyond || !loopback(u.Hostname())
	}
	_, password, _ := strings.Cut(rest[:max(at, 0)], ":")
	return beyond, !strings.HasPrefix(scheme, "rediss"), password == ""
}

func plainRedis(c *Config) string {
	beyond, plain, _ := redisBeyond(c)
	return only(beyond && plain, "REDIS_URL")
}

func redisStateKey(c *Config) string {
	_, _, open := redisBeyond(c)
	return only(open, "REDIS_URL")
}

func openRedis(c *Config) string {
	beyond, _, open := redisBeyond(c)
	return only(beyond && open && c.RedisCert == "", "REDIS_URL")
}

func plainSink(c *Config) string {
	for _, list := range []struct {
		setting string
		places  []string
	}{{"AUDIT_SINKS", c.AuditSinks}, {"AUDIT_ANCHORS", c.AuditAnchors}} {
		for _, place := range list.places {
			if u, err := url.Parse(place); err == nil && u.Scheme == "syslog+tcp" && !loopback(u.Hostname()) {
				return list.setting + "=syslog+tcp://" + u.Host
			}
		}
	}
	return ""
}

func plainVault(c *Config) string {
	for _, node := range c.VaultNodes {
		if where := plainURL("VAULT_CLUSTER_ADDRS", node); where != "" {
			return where
		}
	}
	return plainURL("VAULT_ADDR", c.VaultAddr)
}

func twoLogins(c *Config) string {
	var set []string
	for _, way := range []struct {
		setting string
		value   string
	}{{"VAULT_ROLE_ID", c.VaultRoleID}, {"VAULT_AUTH_ROLE", c.VaultAuthRole}, {"VAULT_TOKEN_FILE", c.VaultTokenFile}, {"VAULT_TOKEN", c.VaultToken.Reveal()}} {
		if way.value != "" {
			set = append(set, way.setting)
		}
	}
	return only(len(set) > 1, strings.Join(set, ", "))
}

func plainIssuer(c *Config) string {
	if c.VaultCallers != "jwt" || c.OIDCKeyFile != "" {
		return ""
	}
	return plainURL("OIDC_ISSUER", c.OIDCIssuer)
}

func anyToken(c *Config) string {
	takes := c.JWTEnabled && (c.JWTSecret != "" || c.plainKeys())
	return only(takes && (!c.JWTCheckIssuer || !c.JWTCheckAudience), "JWT_VALIDATE_ISSUER, JWT_VALIDATE_AUDIENCE")
}

func everybodyAProxy(c *Config) string {
	for _, p := range c.TrustedProxies {
		if p.Bits() == 0 {
			return "TRUSTED_PROXIES=" + p.String()
		}
	}
	return ""
}

func openFiles(c *Config) string {
	var open []string
	for _, f := range c.PrivateFiles() {
		if st, err := os.Stat(f.File); err == nil && OpenToOthers(st.Mode()) {
			open = append(open, fmt.Sprintf("%s=%s (%04o)", f.Setting, f.File, st.Mode().Perm()))
		}
	}
	return strings.Join(open, ", ")
}

// OpenToOthers reports whether users beside the owner and the group may use a file, or
// the group may change it.
func OpenToOthers(m os.FileMode) bool { return m.Perm()&0o027 != 0 }

// PrivateFile is a file that is to be read by the gateway alone.
type PrivateFile struct{ Setting, File string }

// PrivateFiles are those of the configuration, and its own file when it holds secrets.
func (c *Config) PrivateFiles() (out []PrivateFile) {
	files := []PrivateFile{
		{"VAULT_TOKEN_FILE", c.VaultTokenFile},
		{"VAULT_SECRET_ID_FILE", c.VaultSecretIDFile},
		{"VAULT_AUTH_JWT_FILE", c.VaultAuthJWTFile},
		{"VAULT_CLIENT_KEY", c.VaultClientKey},
		{"TLS_KEY_FILE", c.TLSKeyFile},
		{"API_KEYS_FILE", c.APIKeysFile},
		{"POLICY_URL_TOKEN_FILE", c.PolicyToken},
		{"POLICY_URL_KEY", c.PolicyCertKey},
		{"AUDIT_SINK_TOKEN_FILE", c.AuditSinkToken},
		{"AUDIT_SINK_HMAC_FILE", c.AuditSinkHMAC},
		{"AUDIT_SINK_KEY", c.AuditSinkKey},
		{"AUDIT_SIGN_KEY_FILE", c.AuditSignKey},
		{"OIDC_ISSUER_KEY_FILE", c.OIDCKeyFile},
		{"REDIS_KEY", c.RedisKey},
	}
	if c.secretsInFile() {
		files = append(files, PrivateFile{"--config", c.File})
	}
	return slices.DeleteFunc(files, func(f PrivateFile) bool { return f.File == "" })
}

// secretsInFile reports whether a secret comes from the configuration file.
func (c *Config) secretsInFile() bool {
	v, t := reflect.ValueOf(*c), reflect.TypeFor[Config]()
	for i := range t.NumField() {
		if t.Field(i).Type == reflect.TypeFor[call.Secret]() && !v.Field(i).IsZero() && os.Getenv(t.Field(i).Tag.Get("cfg")) == "" {
			return c.File != ""
		}
	}
	return false
}
