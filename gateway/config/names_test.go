package config_test

import (
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/config"
)

// TestHostsAreNormalised: what can only mean one thing is taken as that.
func TestHostsAreNormalised(t *testing.T) {
	for value, want := range map[string][]string{
		"GW.Example.com":                 {"gw.example.com"},
		"gw.example.com:8089":            {"gw.example.com"},
		"https://gw.example.com":         {"gw.example.com"},
		"HTTPS://GW.example.com:443/":    {"gw.example.com"},
		"*.example.com, gw.example.com.": {"*.example.com", "gw.example.com"},
		"10.42.0.17:8089":                {"10.42.0.17"},
		"2001:DB8::1,[::1]:8089":         {"2001:db8::1", "::1"},
		"localhost":                      {"localhost"},
	} {
		t.Setenv("ALLOWED_HOSTS", value)
		c, err := config.Load(config.Source{Offline: true})
		if err != nil || !slices.Equal(c.AllowedHosts, want) {
			t.Errorf("%s: got %q, %v, want %q", value, c.AllowedHosts, err, want)
		}
	}
}

// TestHostsThatMatchNothingAreRefused: at the start, with what to write instead.
func TestHostsThatMatchNothingAreRefused(t *testing.T) {
	for _, value := range []string{"*", "gw.*.com", "*example.com", "**.example.com", "gw example.com", "https://gw.example.com/path", "gw.example.com:http", "gateway.exämple.com", "-gw.example.com", "https://"} {
		t.Setenv("ALLOWED_HOSTS", value)
		_, err := config.Load(config.Source{Offline: true})
		if err == nil || !strings.Contains(err.Error(), "ALLOWED_HOSTS") {
			t.Errorf("%s: got %v, want a problem that names ALLOWED_HOSTS", value, err)
		}
	}
}

func TestOriginsAreNormalisedOrRefused(t *testing.T) {
	t.Setenv("CORS_ALLOW_ORIGINS", "https://App.Example/, http://localhost:3000")
	c, err := config.Load(config.Source{Offline: true})
	if want := []string{"https://app.example", "http://localhost:3000"}; err != nil || !slices.Equal(c.CORSOrigins, want) {
		t.Errorf("got %q, %v, want %q", c.CORSOrigins, err, want)
	}
	for _, value := range []string{"*", "null", "app.example", "https://*.example", "https://app.example/path"} {
		t.Setenv("CORS_ALLOW_ORIGINS", value)
		if _, err := config.Load(config.Source{Offline: true}); err == nil || !strings.Contains(err.Error(), "CORS_ALLOW_ORIGINS") {
			t.Errorf("%s: got %v, want a problem that names CORS_ALLOW_ORIGINS", value, err)
		}
	}
}
