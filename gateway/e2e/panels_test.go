//go:build promql

package e2e_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"

	"portcullis/gateway/e2e"
)

// promql is the program of tools/promql, as make dashboard builds it.
var promql = flag.String("promql", "", "path of the program that evaluates in Prometheus' engine; required")

// seldom are metrics that a gateway in order has no samples of, with what makes them.
var seldom = map[string]string{
	"portcullis_certificate_not_after_timestamp_seconds":                                                 "TLS",
	`portcullis_vault_calls_total{code="vault_auth"}`:                                                    "a token that Vault refuses, again and again",
	`portcullis_calls_total{code=~"internal|vault_error|policy_error|transform_failed|outcome_unknown"}`: "failures that go on",
}

// TestEveryPanelHasData: Prometheus' own engine evaluates each expression of the dashboard
// and of the alert rules over pages that a gateway has written while it did everything,
// without an error and without a warning. Each target has data, and so has what each alert
// compares, as far as a gateway in order has it.
func TestEveryPanelHasData(t *testing.T) {
	pages := pagesOfEverything(t)
	where := map[string][]string{} // of each expression
	for at, text := range expressions(t, e2e.Root(t)) {
		text = strings.NewReplacer("$job", ".*", "$instance", ".*").Replace(text)
		for _, part := range compared(t, at, text) {
			where[part] = append(where[part], at)
		}
	}
	for expr, got := range evaluate(t, pages, slices.Sorted(maps.Keys(where))) {
		switch {
		case got.Error != "" || len(got.Warned) > 0:
			t.Errorf("%s: %s: %s %q", where[expr], expr, got.Error, got.Warned)
		case got.Series == 0 && !isSeldom(expr):
			t.Errorf("%s: %s has no data", where[expr], expr)
		}
	}
	t.Logf("%d expressions have data", len(where))
}

// compared is an expression of the dashboard itself. Of an alert it is the alert and each
// side of its comparisons: an alert in order has no series.
func compared(t *testing.T, where, text string) (parts []string) {
	t.Helper()
	if !strings.HasPrefix(where, "alert ") {
		return []string{text}
	}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if b, ok := n.(*parser.BinaryExpr); ok && b.Op.IsComparisonOperator() {
			parts = append(parts, b.LHS.String())
		}
		return nil
	})
	return parts
}

func isSeldom(expr string) bool {
	for name := range seldom {
		if strings.Contains(expr, name) {
			return true
		}
	}
	return false
}

// pagesOfEverything are the metrics of a gateway that has done everything twice.
func pagesOfEverything(t *testing.T) (pages []string) {
	t.Helper()
	v, sinks := e2e.StartVault(t), receive(t)
	g := e2e.StartGateway(t, v, withAppRole(v, append(sinks.env, "ADMIN_ADDR=127.0.0.1:0", "ADMIN_OPEN_METRICS=true", "READ_CACHE_TTL=10s",
		"WASM_MANIFEST="+e2e.Root(t)+"/wasm/manifest.yaml", "RATE_LIMIT_ENABLED=true")...)...)
	for range 3 {
		for n := range 140 { // more than the burst of a tier
			everyKind(t, g, v, n)
		}
		stranger(t, g.URL+"/whoami")
		_, page := e2e.Do(t, "GET", g.AdminURL+"/metrics", "")
		pages = append(pages, string(page))
	}
	return pages
}

// stranger presents a key that is none.
func stranger(t *testing.T, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", "no-such-key")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // nothing is read
}

type evaluated struct {
	Series int
	Error  string
	Warned []string
}

func evaluate(t *testing.T, pages, expressions []string) (answer map[string]evaluated) {
	t.Helper()
	type scrape struct {
		At   int64  `json:"at"`
		Page string `json:"page"`
	}
	var scrapes []scrape
	for i, p := range pages {
		scrapes = append(scrapes, scrape{1_700_000_000_000 + int64(i)*60_000, p})
	}
	question, err := json.Marshal(map[string]any{
		"labels": map[string]string{"job": "portcullis", "instance": "gateway:9089"}, "scrapes": scrapes, "expressions": expressions,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), *promql)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(question), &stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &answer)
	}
	if err != nil || len(answer) != len(expressions) {
		t.Fatal(fmt.Errorf("make dashboard builds what evaluates: %w: %s", err, &stderr))
	}
	return answer
}
