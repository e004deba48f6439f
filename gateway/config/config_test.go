package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/config"
)

// base is what every valid configuration here needs.
func base(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("APP_CONFIG_FILE", "")
	t.Setenv("CONFIG_FILE", "")
	t.Setenv("VAULT_ADDR", "")
	t.Setenv("VAULT_TOKEN", "root")
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestThreeFormatsSayTheSame(t *testing.T) {
	base(t)
	for name, text := range map[string]string{
		"c.toml": "port = 9000\nvault_timeout = \"3s\"\nCORS_ALLOW_ORIGINS = [\"https://a.example\", \"https://b.example\"]\nrate_limit_enabled = false\n[api_keys_json]\nk = \"s\"\n",
		"c.yaml": "port: 9000\nvault_timeout: 3s\nCORS_ALLOW_ORIGINS: [https://a.example, https://b.example]\nrate_limit_enabled: false\napi_keys_json: {k: s}\n",
		"c.json": `{"port":9000,"vault_timeout":3,"CORS_ALLOW_ORIGINS":"https://a.example, https://b.example","rate_limit_enabled":false,"api_keys_json":{"k":"s"}}`,
	} {
		c, err := config.Load(write(t, name, text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.Port != 9000 || c.VaultTimeout != 3*time.Second || len(c.CORSOrigins) != 2 || c.RateEnabled || c.APIKeysJSON.Reveal() != `{"k":"s"}` {
			t.Errorf("%s: got %+v", name, c)
		}
	}
}

func TestEnvironmentWinsAndEmptyIsUnset(t *testing.T) {
	base(t)
	f := write(t, "c.yaml", "port: 9000\nhost: 127.0.0.2\n")
	t.Setenv("PORT", "9001")
	t.Setenv("HOST", "")
	t.Setenv("TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1")
	c, err := config.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	if c.Port != 9001 || c.Host != "127.0.0.2" || len(c.TrustedProxies) != 2 || c.TrustedProxies[1].Bits() != 32 {
		t.Errorf("got %d %s %v", c.Port, c.Host, c.TrustedProxies)
	}
}

func TestDefaults(t *testing.T) {
	base(t)
	c, err := config.Load("")
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen() != "127.0.0.1:8089" || c.AuditFile != "logs/audit.jsonl" || !c.Loopback() || c.RateRequests != 60 {
		t.Errorf("got %+v", c)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "every caller will be refused") {
		t.Errorf("warnings: got %v", c.Warnings)
	}
}

// TestEveryProblemAtOnce: a start that fails names all that is wrong, and no value.
func TestEveryProblemAtOnce(t *testing.T) {
	base(t)
	t.Setenv("VAULT_TOKEN", "")
	t.Setenv("VAULT_ADDR", "not-a-url")
	t.Setenv("PORT", "canary")
	t.Setenv("CORS_ALLOW_ORIGINS", "*")
	_, err := config.Load(write(t, "c.yaml", "no_such_key: 1\nlog_level: loud\n"))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"unknown key no_such_key", "VAULT_ADDR", "VAULT_TOKEN", "PORT", "LOG_LEVEL", "CORS_ALLOW_ORIGINS"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a value is repeated:\n%v", err)
	}
}

func TestBustedFiles(t *testing.T) {
	base(t)
	for name, text := range map[string]string{
		"syntax.yaml": "port: [", "twice.json": `{"port":1,"PORT":2}`, "kind.ini": "port=1", "type.toml": "port = \"x\"",
	} {
		if _, err := config.Load(write(t, name, text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := config.Load("no-such-file.yaml"); err == nil {
		t.Error("a missing file is accepted")
	}
}

func TestOldKeysAreAccepted(t *testing.T) {
	base(t)
	c, err := config.Load(write(t, "c.yaml", "reload: true\naws_region: eu\n"))
	if err != nil || len(c.Warnings) != 3 {
		t.Errorf("got %v, %v", c.Warnings, err)
	}
}

func ExampleDefault() {
	c := config.Default()
	os.Stdout.WriteString(c.Listen() + "\n")
	// Output: 127.0.0.1:8089
}

func TestOneSourceOfChanges(t *testing.T) {
	base(t)
	t.Setenv("VAULT_EVENTS", "true")
	if c, err := config.Load(""); err != nil || !c.VaultEvents {
		t.Errorf("got %v", err)
	}
	t.Setenv("VAULT_AUDIT_TAP", "file:/x")
	if _, err := config.Load(""); err == nil || !strings.Contains(err.Error(), "VAULT_AUDIT_TAP and VAULT_EVENTS") {
		t.Errorf("both: got %v", err)
	}
}
