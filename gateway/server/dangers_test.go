package server_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/config"
	"portcullis/gateway/e2e"
	"portcullis/gateway/server"
	"portcullis/gateway/vault/vaulttest"
)

// danger is a configuration that has a danger, and one that nearly has it.
type danger struct{ env, near []string }

const jwt = "JWT_HS256_SECRET=0123456789abcdef0123456789abcdef"

// dangers are those that the configuration alone, or what is made of it, reports. DIR is
// a directory with a file "open" that everybody may read and one "closed".
func dangers() map[string]danger {
	return map[string]danger{
		"plain-http":            {[]string{"HOST=0.0.0.0"}, []string{"HOST=0.0.0.0", "TLS_CERT_FILE=c", "TLS_KEY_FILE=k"}},
		"admin-plain-http":      {[]string{"ADMIN_ADDR=10.0.0.1:9089"}, []string{"ADMIN_ADDR=127.0.0.1:9089"}},
		"open-metrics":          {[]string{"ADMIN_ADDR=:9089", "ADMIN_OPEN_METRICS=true"}, []string{"HOST=0.0.0.0", "ADMIN_ADDR=:9089"}},
		"plain-redis":           {[]string{"REDIS_URL=redis+sentinel://u:p@127.0.0.1:1,redis.example:2/m"}, []string{"REDIS_URL=rediss://u:p@redis.example"}},
		"open-redis":            {[]string{"REDIS_URL=rediss://user@redis.example"}, []string{"REDIS_URL=redis://[::1]:6379"}},
		"redis-state-key":       {[]string{"REDIS_URL=redis://127.0.0.1:6379"}, []string{"REDIS_URL=redis://u:p@127.0.0.1:6379"}},
		"plain-sink":            {[]string{"AUDIT_ANCHORS=syslog+tcp://siem.example"}, []string{"AUDIT_SINKS=syslog+tls://siem.example,syslog+tcp://127.0.0.1"}},
		"plain-traces":          {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://otel.example:4318"}, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318"}},
		"plain-policy":          {[]string{"POLICY_URL=http://p.example", "POLICY_KEY_ID=k", "POLICY_KEY_FILE=k"}, []string{"POLICY_URL=https://p.example", "POLICY_KEY_ID=k", "POLICY_KEY_FILE=k"}},
		"plain-vault":           {[]string{"VAULT_ADDR=http://vault.example:8200"}, []string{"VAULT_ADDR=https://vault.example:8200"}},
		"unverified-vault":      {[]string{"VAULT_SKIP_VERIFY=true"}, nil},
		"two-logins":            {[]string{"VAULT_ROLE_ID=r", "VAULT_SECRET_ID=s"}, []string{"VAULT_ROLE_ID=r", "VAULT_SECRET_ID=s", "VAULT_TOKEN="}},
		"plain-issuer":          {[]string{"VAULT_TOKEN=", "VAULT_CALLERS=jwt", "OIDC_ISSUER=http://gw.example"}, []string{"VAULT_TOKEN=", "VAULT_CALLERS=jwt", "OIDC_ISSUER=https://gw.example"}},
		"keys-in-clear":         {[]string{"HOST=0.0.0.0", `API_KEYS_JSON={"k":"s"}`}, []string{`API_KEYS_JSON={"k":"s"}`}},
		"any-token":             {[]string{jwt, "JWT_VALIDATE_AUDIENCE=false"}, []string{"JWT_VALIDATE_AUDIENCE=false"}},
		"shared-subjects":       {[]string{"SUBJECT_BINDING=shared"}, []string{"SUBJECT_BINDING=bound"}},
		"everybody-a-proxy":     {[]string{"TRUSTED_PROXIES=10.0.0.0/8,0.0.0.0/0"}, []string{"TRUSTED_PROXIES=10.0.0.0/8"}},
		"no-rates":              {[]string{"RATE_LIMIT_ENABLED=false"}, nil},
		"open-files":            {[]string{"AUDIT_SINK_TOKEN_FILE=DIR/open"}, []string{"AUDIT_SINK_TOKEN_FILE=DIR/closed"}},
		"revocations-alone":     {[]string{"REDIS_URL=redis://127.0.0.1:6379"}, []string{"REDIS_URL=redis://127.0.0.1:6379", "FIRM_STORE=vault:p/state"}},
		"revocations-lost":      {[]string{"ADMIN_ADDR=127.0.0.1:9089", "LOG_DIR=-"}, []string{"ADMIN_ADDR=127.0.0.1:9089", "LOG_DIR=-", "STATE_DIR=DIR"}},
		"identity-from-anybody": {[]string{"AUTH_MTLS_ENABLED=true", "TRUSTED_PROXIES=::/0"}, []string{"AUTH_MTLS_ENABLED=true", "TRUSTED_PROXIES=::1"}},
		"plain-policy-token": {
			[]string{"POLICY_URL=http://p.example", "POLICY_KEY_ID=k", "POLICY_KEY_FILE=k", "POLICY_URL_TOKEN_FILE=t"},
			[]string{"POLICY_URL=http://127.0.0.1", "POLICY_KEY_ID=k", "POLICY_KEY_FILE=k", "POLICY_URL_TOKEN_FILE=t"},
		},
		"plain-keys": {[]string{"JWT_JWKS_URL=http://id.example/jwks"}, []string{"JWT_JWKS_URL=https://id.example/jwks"}},
		"weak-key":   {[]string{"HOST=0.0.0.0", `API_KEYS_JSON={"short":"s"}`}, []string{`API_KEYS_JSON={"short":"s"}`}},
		"open-tap":   {[]string{"VAULT_AUDIT_TAP=tcp:0.0.0.0:9090"}, []string{"VAULT_AUDIT_TAP=tcp:127.0.0.1:9090"}},
	}
}

// TestDangersAreSaidOrRefused: each danger of the table is found where it is and not where
// it nearly is; those that are refused end the start.
func TestDangersAreSaidOrRefused(t *testing.T) {
	rows := dangers()
	for _, d := range config.Dangers() {
		row, there := rows[d.ID]
		if !there && d.ID != config.RootToken { // TestTheStartSaysDangers
			t.Errorf("%s: nothing shows it", d.ID)
		}
		if !there {
			continue
		}
		t.Run(d.ID, func(t *testing.T) {
			if found, err := look(t, d, row.env); !found || (err != nil) != d.Refused {
				t.Errorf("found %v, refused %v; want refused %v", found, err, d.Refused)
			}
			if found, _ := look(t, d, row.near); found {
				t.Error("found where it is not")
			}
		})
	}
}

// look reads a configuration, and makes a gateway of it where that alone tells.
func look(t *testing.T, d config.Danger, env []string) (found bool, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"open": 0o644, "closed": 0o640} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
	}
	null, openErr := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if openErr != nil {
		t.Fatal(openErr)
	}
	defer func() { _ = null.Close() }()
	t.Run("", func(t *testing.T) { // its environment ends with it
		for _, e := range append([]string{"VAULT_TOKEN=t", "LOG_DIR=" + dir}, env...) {
			key, value, _ := strings.Cut(e, "=")
			t.Setenv(key, strings.ReplaceAll(value, "DIR", dir))
		}
		var c config.Config
		c, err = config.Load(config.Source{})
		for _, f := range c.Dangerous() {
			found = found || f.ID == d.ID && f.Where != "" && !f.Refused
		}
		if err == nil && (d.ID == "plain-keys" || d.ID == "weak-key") {
			_, err = server.New(t.Context(), c, server.Options{Stdout: io.Discard, Stderr: null})
		}
	})
	return found || d.Refused && err != nil, err
}

// TestTheStartSaysDangers: in the log, with what follows and what to do; that the gateway's
// own token is a root token as well, which Vault tells.
func TestTheStartSaysDangers(t *testing.T) {
	v, dir := vaulttest.Start(t), t.TempDir()
	for key, value := range map[string]string{
		"VAULT_ADDR": v.Addr, "VAULT_TOKEN": v.Token, "LOG_DIR": dir, "PORT": "0", "SHUTDOWN_DELAY": "0s", "RATE_LIMIT_ENABLED": "false",
	} {
		t.Setenv(key, value)
	}
	c, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, c)
	for _, id := range []string{"no-rates", config.RootToken} {
		e2e.Eventually(t, id, func() bool {
			text, err := os.ReadFile(filepath.Join(dir, "server.log"))
			d := config.DangerOf(id, "")
			return err == nil && strings.Contains(string(text), `"danger":"`+id+`"`) && strings.Contains(string(text), d.Risk) && strings.Contains(string(text), d.Do)
		})
	}
	if found, err := server.CheckVault(t.Context(), c); err != nil || !found.RootToken {
		t.Errorf("got %+v, %v", found, err)
	}
}
