package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
)

// TestAGatewayThatRuns: a gateway that bench has not started is driven over REST, MCP and
// in sessions, in a closed loop and at the share of its peak that a scenario asks for.
func TestAGatewayThatRuns(t *testing.T) {
	g := e2e.StartGateway(t, e2e.StartVault(t), "RATE_LIMIT_ENABLED=false")
	at := []string{"--target", g.URL, "--credential", "X-API-Key: " + e2e.Key, "--rounds", "1", "--turn", "50ms", "--connections", "2"}
	run := func(scenario string) (string, error) {
		var out strings.Builder
		err := command(t.Context(), append(at, "--scenario", scenario, "--json", filepath.Join(t.TempDir(), "r.json")), &out)
		return out.String(), err
	}
	if _, err := run("kv-read"); err == nil || !strings.Contains(err.Error(), "bench/small") {
		t.Errorf("without the secret: got %v, which does not say what is missing", err)
	}
	if resp, body := e2e.Do(t, http.MethodPut, g.URL+"/secrets/bench/small", `{"data":{"value":"`+marker+`"}}`); resp.StatusCode != http.StatusOK {
		t.Fatalf("got %d %s", resp.StatusCode, body)
	}
	for scenario, want := range map[string][]string{
		"kv-read": {"gateway, REST |", "gateway, MCP |"}, "half-peak": {"open loop", "gateway, REST |"}, "agent-sessions": {"gateway, MCP in sessions |"},
	} {
		got, err := run(scenario)
		for _, w := range want {
			if err != nil || !strings.Contains(got, w) {
				t.Errorf("%s: got %v\n%s", scenario, err, got)
			}
		}
	}
}
