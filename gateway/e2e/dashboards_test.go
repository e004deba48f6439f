package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"portcullis/gateway/e2e"
	"portcullis/gateway/obs"
)

// expressions are those of the dashboard and of the alert rules, by where they stand.
func expressions(t *testing.T, root string) map[string]string {
	t.Helper()
	var dash struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Expr        string
				Annotations struct{ Summary, Description string }
			}
		}
	}
	raw, err := os.ReadFile(filepath.Join(root, "tools", "deploy", "grafana-dashboard.json"))
	if err == nil {
		err = json.Unmarshal(raw, &dash)
	}
	text, err2 := os.ReadFile(filepath.Join(root, "tools", "deploy", "alerts.yml"))
	if err2 == nil {
		err2 = yaml.Unmarshal(text, &rules)
	}
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	all := map[string]string{}
	for _, p := range dash.Panels {
		for _, target := range p.Targets {
			all["panel "+p.Title+": "+target.Expr] = strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
		}
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			all["alert "+r.Alert] = r.Expr
			if r.Annotations.Summary == "" || r.Annotations.Description == "" {
				t.Errorf("alert %s says nothing to whoever gets it", r.Alert)
			}
		}
	}
	return all
}

// TestDashboardAndAlertsNameWhatExists: Prometheus' own parser takes every expression;
// each metric in it is one of ours, used as what it is; each label is on the page of a
// gateway, where that has samples of the metric.
func TestDashboardAndAlertsNameWhatExists(t *testing.T) {
	g := e2e.StartGateway(t, e2e.StartVault(t), "ADMIN_ADDR=127.0.0.1:0", "ADMIN_OPEN_METRICS=true", "READ_CACHE_TTL=1s", "AUDIT_SINKS=syslog+tcp://127.0.0.1:1")
	e2e.Do(t, "PUT", g.URL+"/secrets/x", `{"data":{"a":"b"}}`)
	e2e.Do(t, "GET", g.URL+"/secrets/x", "")
	_, page := e2e.Do(t, "GET", g.AdminURL+"/metrics", "")
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	all := expressions(t, e2e.Root(t))
	if len(all) < 50 {
		t.Errorf("got %d expressions", len(all))
	}
	for where, text := range all {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
			if v, ok := n.(*parser.VectorSelector); ok {
				for _, why := range misused(v, path, families) {
					t.Errorf("%s: %s", where, why)
				}
			}
			return nil
		})
	}
}

// misused says what is wrong with the use of a metric.
func misused(v *parser.VectorSelector, path []parser.Node, families map[string]*dto.MetricFamily) (why []string) {
	name := v.Name
	for _, end := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, end); ok && obs.Kind(base) == "histogram" {
			name = base
		}
	}
	kind := obs.Kind(name)
	if f := families[name]; kind == "" && f != nil {
		kind = strings.ToLower(f.GetType().String()) // of the process or of the runtime
	}
	rated := slices.ContainsFunc(path, func(n parser.Node) bool {
		c, ok := n.(*parser.Call)
		return ok && (c.Func.Name == "rate" || c.Func.Name == "increase")
	})
	switch {
	case kind == "":
		return []string{"there is no metric " + v.Name}
	case rated != (kind != "gauge"):
		why = append(why, v.Name+" is a "+kind+", and used as something else")
	}
	labels := labelsOf(families[name])
	if labels == nil {
		return why // nothing has happened yet that it counts
	}
	used := []string{}
	for _, m := range v.LabelMatchers {
		used = append(used, m.Name)
	}
	for _, n := range path {
		if a, ok := n.(*parser.AggregateExpr); ok {
			used = append(used, a.Grouping...)
		}
	}
	for _, l := range used {
		if !labels[l] && !slices.Contains([]string{"__name__", "job", "instance", "le"}, l) {
			why = append(why, v.Name+" has no label "+l)
		}
	}
	return why
}

// labelsOf are the labels of a family's samples, nil when there are no samples.
func labelsOf(f *dto.MetricFamily) map[string]bool {
	var out map[string]bool
	for _, m := range f.GetMetric() {
		if out == nil {
			out = map[string]bool{}
		}
		for _, l := range m.GetLabel() {
			out[l.GetName()] = true
		}
	}
	return out
}
