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
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", "")
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

func load(file string) (config.Config, error) { return config.Load(config.Source{File: file}) }

func TestThreeFormatsSayTheSame(t *testing.T) {
	base(t)
	for name, text := range map[string]string{
		"c.toml": "port = 9000\nvault_timeout = \"3s\"\nCORS_ALLOW_ORIGINS = [\"https://a.example\", \"https://b.example\"]\nrate_limit_enabled = false\n[api_keys_json]\nk = \"s\"\n",
		"c.yaml": "port: 9000\nvault_timeout: 3s\nCORS_ALLOW_ORIGINS: [https://a.example, https://b.example]\nrate_limit_enabled: false\napi_keys_json: {k: s}\n",
		"c.json": `{"port":9000,"vault_timeout":3,"CORS_ALLOW_ORIGINS":"https://a.example, https://b.example","rate_limit_enabled":false,"api_keys_json":{"k":"s"}}`,
	} {
		c, err := load(write(t, name, text))
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
	c, err := load(f)
	if err != nil {
		t.Fatal(err)
	}
	if c.Port != 9001 || c.Host != "127.0.0.2" || len(c.TrustedProxies) != 2 || c.TrustedProxies[1].Bits() != 32 {
		t.Errorf("got %d %s %v", c.Port, c.Host, c.TrustedProxies)
	}
}

func TestDefaults(t *testing.T) {
	base(t)
	c, err := load("")
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

// TestASetRateIsSaid: it wins over the policy's data, which nobody would guess.
func TestASetRateIsSaid(t *testing.T) {
	for key, set := range map[string]bool{"RATE_LIMIT_REQUESTS": true, "RATE_LIMIT_WINDOW_SECONDS": true, "LOG_LEVEL": false} {
		t.Run(key, func(t *testing.T) {
			base(t)
			t.Setenv(key, map[bool]string{true: "90", false: "info"}[set])
			c, err := load("")
			if err != nil {
				t.Fatal(err)
			}
			if said := strings.Contains(strings.Join(c.Warnings, ";"), "tier standard"); c.RateSet != set || said != set {
				t.Errorf("got set %v, said %v, want %v", c.RateSet, said, set)
			}
		})
	}
}

// TestEveryProblemAtOnce: a start that fails names all that is wrong, and no value.
func TestEveryProblemAtOnce(t *testing.T) {
	base(t)
	t.Setenv("VAULT_TOKEN", "")
	t.Setenv("VAULT_ADDR", "not-a-url")
	t.Setenv("PORT", "canary")
	t.Setenv("CORS_ALLOW_ORIGINS", "*")
	_, err := load(write(t, "c.yaml", "no_such_key: 1\nlog_level: loud\n"))
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
		if _, err := load(write(t, name, text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, text := range map[string]string{"same.json": "{\"port\":1,\n\"port\":2}", "within.json": "{\n\"issuers\":[{\"issuer\":\"a\",\"issuer\":\"b\"}]}"} {
		if _, err := load(write(t, name, text)); err == nil || !strings.Contains(err.Error(), "line 2: a key is there twice") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := load("no-such-file.yaml"); err == nil {
		t.Error("a missing file is accepted")
	}
}

func TestOldKeysAreAccepted(t *testing.T) {
	base(t)
	c, err := load(write(t, "c.yaml", "reload: true\naws_region: eu\n"))
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
	if c, err := load(""); err != nil || !c.VaultEvents {
		t.Errorf("got %v", err)
	}
	t.Setenv("VAULT_AUDIT_TAP", "file:/x")
	if _, err := load(""); err == nil || !strings.Contains(err.Error(), "VAULT_AUDIT_TAP and VAULT_EVENTS") {
		t.Errorf("both: got %v", err)
	}
}

// file writes a file below a directory, with its directories.
func file(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFileIsLookedFor: the working directory counts only for who may use it, and a
// file of any other program's name counts for nobody.
func TestFileIsLookedFor(t *testing.T) {
	base(t)
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	file(t, ".", "config.toml", "baseURL = \"https://example.org/\"\n")
	file(t, ".", "portcullis.toml", "port = 9001\n")
	file(t, home, "portcullis/portcullis.yaml", "port: 9002\n")
	for _, c := range []struct {
		source config.Source
		port   int
		warned bool
	}{
		{config.Source{WorkingDir: true}, 9001, true},
		{config.Source{}, 9002, false},
		{config.Source{File: "portcullis.toml"}, 9001, false},
	} {
		got, err := config.Load(c.source)
		if err != nil || got.Port != c.port {
			t.Errorf("%+v: got port %d, %v; want %d", c.source, got.Port, err, c.port)
		}
		if warned := strings.Contains(strings.Join(got.Warnings, "\n"), "config.toml in the working directory is not read"); warned != c.warned {
			t.Errorf("%+v: warnings %q, want one: %v", c.source, got.Warnings, c.warned)
		}
	}
}

// TestFilesThatAreNotTrusted: a file that was found and that others may write, two
// files, and a relative name from the environment for a program in a foreign directory.
func TestFilesThatAreNotTrusted(t *testing.T) {
	base(t)
	name := file(t, ".", "portcullis.toml", "port = 9001\n")
	if err := os.Chmod(name, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(config.Source{WorkingDir: true})
	if err == nil || !strings.Contains(err.Error(), "everybody may write it") {
		t.Errorf("writable by all: got %v", err)
	}
	file(t, ".", "portcullis.json", "{}")
	if _, err = config.Load(config.Source{WorkingDir: true}); err == nil || !strings.Contains(err.Error(), "more than one") {
		t.Errorf("two files: got %v", err)
	}
	t.Setenv("CONFIG_FILE", "portcullis.json")
	if _, err = config.Load(config.Source{}); err == nil || !strings.Contains(err.Error(), "absolute path") {
		t.Errorf("relative: got %v", err)
	}
}

func TestValuesAsTheyAreWritten(t *testing.T) {
	base(t)
	t.Setenv("VAULT_TOKEN", " root\n")
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:8200\r\n")
	t.Setenv("JWT_AUDIENCE", `["a","b"]`)
	t.Setenv("CORS_ALLOW_ORIGINS", "https://App.Example.com:443/, http://localhost:3000")
	t.Setenv("HOST", "[::1]")
	c, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	if c.VaultToken.Reveal() != "root" || c.VaultAddr != "http://127.0.0.1:8200" || c.Listen() != "[::1]:8089" || !c.Loopback() {
		t.Errorf("got %q, %s, %s", c.VaultToken.Reveal(), c.VaultAddr, c.Listen())
	}
	if got := strings.Join(append(c.JWTAudience, c.CORSOrigins...), " "); got != "a b https://app.example.com http://localhost:3000" {
		t.Errorf("lists: got %s", got)
	}
}

func TestValuesThatCannotWork(t *testing.T) {
	for key, c := range map[string]struct{ value, want string }{
		"HOST":               {"x86_64-conda-linux-gnu", "HOST: \"x86_64-conda-linux-gnu\" is no address"},
		"CORS_ALLOW_ORIGINS": {"https://*.example.com", "list each origin"},
	} {
		t.Run(key, func(t *testing.T) {
			base(t)
			t.Setenv(key, c.value)
			if _, err := load(""); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestMisspelledKeysAreNamed(t *testing.T) {
	base(t)
	t.Setenv("API_KEY_JSON", "{}")
	t.Setenv("VAULT_TIMEOUTS", "3s")
	t.Setenv("VAULT_FORMAT", "json")
	c, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(c.Warnings, "\n")
	for _, want := range []string{"did you mean API_KEYS_JSON?", "did you mean VAULT_TIMEOUT?"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
	if strings.Contains(text, "VAULT_FORMAT") {
		t.Errorf("another program's key is named: %s", text)
	}
	if _, err := load(write(t, "c.yaml", "vault_adr: x\n")); err == nil || !strings.Contains(err.Error(), "did you mean VAULT_ADDR?") {
		t.Errorf("in a file: got %v", err)
	}
}

// A bundle service is the only source of the policy, gives signed archives, and is told
// its token over TLS alone.
func TestTheBundleServiceIsConfiguredAsAWhole(t *testing.T) {
	key := map[string]string{"POLICY_URL": "https://bundles.example/p.tar.gz", "POLICY_KEY_ID": "k", "POLICY_KEY_FILE": "k.pem"}
	for name, tt := range map[string]struct {
		env  map[string]string
		want string // empty for none
	}{
		"alone":            {nil, ""},
		"with a directory": {map[string]string{"POLICY_DIR": "p"}, "POLICY_URL and POLICY_DIR"},
		"without a key":    {map[string]string{"POLICY_KEY_ID": "", "POLICY_KEY_FILE": ""}, "needs POLICY_KEY_ID"},
		"no URL":           {map[string]string{"POLICY_URL": "bundles"}, "not an http or https URL"},
		"a password":       {map[string]string{"POLICY_URL": "https://u:p@bundles.example/x"}, "POLICY_URL_TOKEN_FILE"},
		"a token in plain": {map[string]string{"POLICY_URL": "http://bundles.example/x", "POLICY_URL_TOKEN_FILE": "t"}, "would be sent over http"},
		"on the loopback":  {map[string]string{"POLICY_URL": "http://127.0.0.1/x", "POLICY_URL_TOKEN_FILE": "t"}, ""},
		"half a pair":      {map[string]string{"POLICY_URL_CERT": "c.pem"}, "POLICY_URL_CERT and POLICY_URL_KEY"},
		"too often":        {map[string]string{"POLICY_URL_INTERVAL": "10ms"}, "POLICY_URL_INTERVAL"},
	} {
		t.Run(name, func(t *testing.T) {
			base(t)
			for _, env := range []map[string]string{key, tt.env} {
				for k, v := range env {
					t.Setenv(k, v)
				}
			}
			_, err := load("")
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
