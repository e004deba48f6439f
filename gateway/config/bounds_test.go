package config_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/config"
)

// numbers are the settings that are numbers, and those that are times.
func numbers() (counts, times []string) {
	t := reflect.TypeFor[config.Config]()
	for i := range t.NumField() {
		key, k := t.Field(i).Tag.Get("cfg"), t.Field(i).Type.Kind()
		switch {
		case key == "-" || key == "":
		case t.Field(i).Type == reflect.TypeFor[time.Duration]():
			times = append(times, key)
		case k == reflect.Int || k == reflect.Int64:
			counts = append(counts, key)
		}
	}
	return counts, times
}

// TestNumbersBeyondTheirRange: no number or time that a file or a variable can hold is cut
// down, wraps round or is taken although nothing could be made of it, and each refusal
// names its key, once.
func TestNumbersBeyondTheirRange(t *testing.T) {
	base(t)
	refused := func(keys []string, how string, err error) {
		t.Helper()
		for _, key := range keys {
			if n := strings.Count("\n"+fmt.Sprint(err), "\n"+key+": "); n != 1 {
				t.Errorf("%s = %s: said %d times in %v", key, how, n, err)
			}
		}
	}
	counts, times := numbers()
	all := append(slices.Clone(counts), times...)
	set := func(keys []string, v string) {
		t.Helper()
		for _, key := range keys {
			t.Setenv(key, v)
		}
		_, err := load("")
		refused(keys, v, err)
		for _, key := range keys {
			t.Setenv(key, "")
		}
	}
	for _, v := range []string{"-1", "-9223372036854775808", "9223372036854775807", "9223372036854775808", "18446744073709551617", "99999999999999999999999"} {
		set(all, v)
	}
	// 18446744074 seconds are 0.29 s when their nanoseconds wrap round.
	for _, v := range []string{"18446744074", "9223372037", "87601h", "-1ns", "9999999999999h"} {
		set(times, v)
	}
	for _, v := range []string{"1e3x", "1.5"} {
		set(counts, v)
	}
	for form, values := range map[string][]string{
		"c.json": {"1e300", "-1e300", "18446744073709551615", "9223372036854775807"},
		"c.yaml": {".nan", ".inf", "-.inf", "18446744073709551615"},
		"c.toml": {"nan", "-inf", "9223372036854775807"},
	} {
		for _, v := range values {
			var lines []string
			for _, key := range all {
				lines = append(lines, map[string]string{"c.json": strconv.Quote(key) + ":", "c.yaml": key + ": ", "c.toml": key + " = "}[form]+v)
			}
			text := strings.Join(lines, "\n")
			if form == "c.json" {
				text = "{" + strings.Join(lines, ",") + "}"
			}
			_, err := load(write(t, form, text))
			refused(all, v+" in "+form, err)
		}
	}
}

// TestNumbersAsTheyAreWritten: a whole number may be written as one with a fraction of
// nothing, as JSON has it, and a time in parts of a second.
func TestNumbersAsTheyAreWritten(t *testing.T) {
	base(t)
	c, err := load(write(t, "c.json", `{"port":9000.0,"max_body_bytes":1.048576e6,"vault_timeout":1.5,"lease_idle_timeout":"7200"}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Port != 9000 || c.MaxBodyBytes != 1<<20 || c.VaultTimeout != 1500*time.Millisecond || c.LeaseIdle != 2*time.Hour {
		t.Errorf("got %d, %d, %v, %v", c.Port, c.MaxBodyBytes, c.VaultTimeout, c.LeaseIdle)
	}
	if _, err := load(write(t, "d.json", `{"port":9000.5}`)); err == nil || !strings.Contains(err.Error(), "PORT: not a whole number") {
		t.Errorf("a part of a port: %v", err)
	}
	if err := fmt.Sprint(loadError(t, "VAULT_TIMEOUT", fmt.Sprint(math.MaxInt64))); !strings.Contains(err, "out of range") {
		t.Errorf("got %s", err)
	}
}

// TestNoneIsKept: a list that is given as empty is not the one that holds where none is given.
func TestNoneIsKept(t *testing.T) {
	base(t)
	for _, file := range []string{`{"mtls_scopes":[],"jwt_scope_claims":[]}`, `{"mtls_scopes":"[]","jwt_scope_claims":","}`} {
		c, err := load(write(t, "c.json", file))
		if err != nil || c.MTLSScopes == nil || c.JWTScopeClaims == nil || len(c.MTLSScopes)+len(c.JWTScopeClaims) > 0 {
			t.Errorf("%s: got %#v, %#v, %v", file, c.MTLSScopes, c.JWTScopeClaims, err)
		}
	}
	c, err := load(write(t, "d.json", `{"issuers":[{"issuer":["x"],"jwks_file":"k","audience":["a"],"scope_claims":[]}]}`))
	if err != nil || c.Issuers[0].ScopeClaims == nil {
		t.Errorf("got %#v, %v", c.Issuers, err)
	}
	if err := fmt.Sprint(loadError(t, "POLICY_MAX_STALE", "0")); !strings.Contains(err, "must be positive") {
		t.Errorf("got %s", err)
	}
}

func loadError(t *testing.T, key, value string) error {
	t.Helper()
	t.Setenv(key, value)
	_, err := load("")
	return err
}
