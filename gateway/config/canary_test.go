package config_test

import (
	"strings"
	"testing"

	"portcullis/gateway/config"
)

func TestAShareOfTheCallers(t *testing.T) {
	for text, want := range map[string]float64{"5%": 5, "0.5%": 0.5, "100%": 100, "0%": 0, "": 0, "5": -1, "101%": -1, "-1%": -1, "NaN%": -1, "%": -1, "five%": -1} {
		t.Setenv("POLICY_SHADOW_DIR", "next")
		t.Setenv("POLICY_CANARY", text)
		c, err := config.Load(config.Source{Offline: true})
		if told := err != nil && strings.Contains(err.Error(), "POLICY_CANARY"); told != (want < 0) || want >= 0 && c.CanaryPercent != want {
			t.Errorf("%q: %v, %v, want %v", text, c.CanaryPercent, err, want)
		}
	}
	t.Setenv("POLICY_SHADOW_DIR", "")
	t.Setenv("POLICY_CANARY", "5%")
	if _, err := config.Load(config.Source{Offline: true}); err == nil || !strings.Contains(err.Error(), "POLICY_SHADOW_DIR") {
		t.Errorf("without a candidate: %v", err)
	}
}
