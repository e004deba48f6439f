package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/config"
)

// TestEveryKeyIsDocumented: each has a section, a meaning and an example.
func TestEveryKeyIsDocumented(t *testing.T) {
	keys, err := config.Keys()
	if err != nil || len(keys) < 100 {
		t.Fatalf("got %d keys, %v", len(keys), err)
	}
	for _, k := range keys {
		if k.Section == "" || k.Meaning == "" || k.Example == "..." || k.Example == "" || k.Type == "" {
			t.Errorf("%s: got %+v", k.Name, k)
		}
	}
}

// TestSecretsAreNotPrinted: neither a secret nor the path of a sink is in what is in force.
func TestSecretsAreNotPrinted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "portcullis.toml")
	if err := os.WriteFile(file, []byte("vault_token = \"canary\"\napi_keys_json = '{\"canary\":\"a\"}'\naudit_sinks = \"https://h.example/canary\"\nport = 9000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Source{File: file})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := config.Keys()
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, k := range keys {
		all.WriteString(k.Name + "=" + c.Value(k.Name) + "\n")
	}
	if text := all.String(); strings.Contains(text, "canary") || !strings.Contains(text, "VAULT_TOKEN=[redacted]") || !strings.Contains(text, "PORT=9000") || !strings.Contains(text, "AUDIT_SINKS=[redacted]") {
		t.Errorf("got %s", text)
	}
}

// TestExampleFileIsOne: every line of the example file is a comment, so that the file
// changes nothing; with the marks removed, its keys are known ones.
func TestExampleFileIsOne(t *testing.T) {
	text, err := config.ExampleFile()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line != "\n" && !strings.HasPrefix(line, "# ") {
			t.Errorf("not a comment: %q", line)
		}
	}
}
