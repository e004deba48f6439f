package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"portcullis/gateway/config"
)

// TestAValueInTheWrongPlaceIsNotShown: what stands in a key may be a secret that was meant
// for another one. No message about it quotes it.
func TestAValueInTheWrongPlaceIsNotShown(t *testing.T) {
	const canary = "canaryCanaryCanaryCanary"
	for _, form := range []string{"hvs.%s", "s.%s", "https://user:%s@vault.example", "https://user:%%zz%s@vault.example", "-----BEGIN PRIVATE KEY-----\n%s"} {
		value := fmt.Sprintf(form, canary)
		var text string
		for _, key := range keys() {
			t.Setenv(key, value)
			text += fmt.Sprintf("%s = %q\n", key, value)
		}
		told(t, "the environment", value, config.Source{})
		for _, key := range keys() {
			_ = os.Unsetenv(key)
		}
		for name, text := range map[string]string{
			"all.toml": text, "bare.toml": "vault_token = " + value, "bare.yaml": value, "list.yaml": "vault_token: [" + value, "bare.json": value, "half.json": `{"vault_token": "` + value,
		} {
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			told(t, name, value, config.Source{File: file})
		}
	}
}

func told(t *testing.T, where, value string, from config.Source) {
	t.Helper()
	c, err := config.Load(from)
	all := strings.Join(c.Warnings, "\n")
	for _, d := range c.Dangerous() {
		all += fmt.Sprintf("\n%+v", d)
	}
	if err != nil {
		all += "\n" + err.Error()
	}
	if strings.Contains(all, "anary") {
		t.Errorf("%s, %s: %.400s", where, value, all)
	}
}

// keys are those of the environment.
func keys() (out []string) {
	ct := reflect.TypeFor[config.Config]()
	for i := range ct.NumField() {
		if tag, _, _ := strings.Cut(ct.Field(i).Tag.Get("cfg"), ","); tag != "" {
			out = append(out, tag)
		}
	}
	return out
}
