package config_test

import (
	"strings"
	"testing"
)

// TestTheNameOfTheSigningKey: what stands in paths of Vault's API is a name, and a key in a
// file or no file of evidence goes with none in Vault.
func TestTheNameOfTheSigningKey(t *testing.T) {
	base(t)
	for value, want := range map[string][2]string{
		"transit/evidence": {"transit", "evidence"}, "team/transit/evidence.v1": {"team/transit", "evidence.v1"},
		"evidence": {}, "/evidence": {}, "transit/": {}, "transit//evidence": {}, "/transit/evidence": {}, "transit/evidence/": {},
		"transit/../sys": {}, "transit/a b": {}, "transit/a?b": {}, "tran#sit/a": {}, "transit/a%2Fb": {}, "transit/.": {}, "transit/bob@x": {},
	} {
		t.Setenv("AUDIT_SIGN_TRANSIT_KEY", value)
		c, err := load("")
		if good := want[0] != ""; good != (err == nil) || err != nil && !strings.Contains(err.Error(), "AUDIT_SIGN_TRANSIT_KEY: must be MOUNT/NAME") {
			t.Errorf("%s: got %v", value, err)
		}
		if mount, name := c.SigningKey(); err == nil && (mount != want[0] || name != want[1]) {
			t.Errorf("%s: got %q and %q", value, mount, name)
		}
	}
	t.Setenv("AUDIT_SIGN_TRANSIT_KEY", "transit/evidence")
	for key, value := range map[string]string{"AUDIT_SIGN_KEY_FILE": "audit.key", "AUDIT_FILE": "-"} {
		t.Setenv(key, value)
		if _, err := load(""); err == nil || !strings.Contains(err.Error(), "AUDIT_SIGN_TRANSIT_KEY") {
			t.Errorf("with %s=%s: got %v", key, value, err)
		}
		t.Setenv(key, "")
	}
}
