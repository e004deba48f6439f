package house_test

import (
	"context"
	"encoding/json"
	"go/ast"
	"go/token"
	"go/types"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/mcp"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
)

// TestCodes: every constant of type call.Code is in call.Codes, and has a status of
// its own choosing over HTTP: none falls through to 500 but internal.
func TestCodes(t *testing.T) {
	scope := load(t, "portcullis/gateway/call", nil)[0].Types.Scope()
	for _, name := range scope.Names() {
		c, ok := scope.Lookup(name).(*types.Const)
		if !ok || !strings.HasSuffix(c.Type().String(), "call.Code") {
			continue
		}
		if code, _ := strconv.Unquote(c.Val().ExactString()); !slices.Contains(call.Codes(), call.Code(code)) {
			t.Errorf("%s is not in call.Codes", name)
		}
	}
	for _, c := range call.Codes() {
		if got := edge.Status(c); got < 400 || (got == http.StatusInternalServerError) != (c == call.Internal) {
			t.Errorf("%s: status %d", c, got)
		}
		w := httptest.NewRecorder()
		edge.WriteError(w, call.Errorf(c, "refused"), "")
		if hint := w.Header().Get("Retry-After") != ""; hint != passes(c) || hint != strings.Contains(w.Body.String(), `"retry_after_s"`) {
			t.Errorf("%s: over REST the answer is %v %s, want a hint when to retry: %v", c, w.Header(), w.Body, passes(c))
		}
	}
}

// TestCodesOverMCP: a call that fails is a result with isError and the same code,
// whatever the code is.
func TestCodesOverMCP(t *testing.T) {
	ops, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range call.Codes() {
		s := mcp.New(mcp.Config{
			Catalogue: ops, KVMount: "secret",
			Do: func(context.Context, *op.Request) (*op.Result, error) {
				return &op.Result{RequestID: "r"}, call.Errorf(c, "refused")
			},
			Callable: func(context.Context, *call.Caller, *op.Op) bool { return true },
		})
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"self.whoami","arguments":{}}}`
		r := httptest.NewRequest(http.MethodPost, "/mcp/rpc", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		w := httptest.NewRecorder()
		s.ServeRPC(w, r, &call.Caller{Subject: "a", Method: call.APIKey})
		var reply struct {
			Result struct {
				IsError bool
				Content struct {
					Error struct {
						Code  call.Code
						Retry int `json:"retry_after_s"`
					}
				} `json:"structuredContent"`
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil || w.Code != http.StatusOK || !reply.Result.IsError || reply.Result.Content.Error.Code != c {
			t.Errorf("%s: got %d %s", c, w.Code, w.Body)
		}
		if (reply.Result.Content.Error.Retry > 0) != passes(c) {
			t.Errorf("%s: over MCP the answer is %s, want a hint when to retry: %v", c, w.Body, passes(c))
		}
	}
}

// passes reports whether what a code names goes away by itself.
func passes(c call.Code) bool {
	return edge.Status(c) == http.StatusServiceUnavailable || edge.Status(c) == http.StatusTooManyRequests
}

var (
	metricRE = regexp.MustCompile(`^"?(portcullis_[a-z0-9_]*)`)
	nameRE   = regexp.MustCompile(`^portcullis(_[a-z0-9]+)+$`)
)

// TestMetricNames: counters end in _total, times in _seconds, sizes in _bytes; what
// goes up and down has no such end.
func TestMetricNames(t *testing.T) {
	found, all := 0, sources(t)
	for _, s := range all {
		if s.test {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if name, kind := metric(c); name != "" {
				found++
				if kind == "Counter" && !strings.HasSuffix(name, "_total") && decremented(all, s.dir()) {
					kind = "Gauge" // this library's counters can go down
				}
				if !nameRE.MatchString(name) || !endsWell(name, kind) {
					t.Errorf("%s: %s is no name for a %s", s.at(n), name, kind)
				}
				if !obs.Documented(name) {
					t.Errorf("%s: %s is not in the table of families in gateway/obs", s.at(n), name)
				}
			}
			return true
		})
	}
	if found < 10 {
		t.Errorf("only %d metrics found", found)
	}
}

// metric is the name of the metric that a call makes, and its kind.
func metric(c *ast.CallExpr) (name, kind string) {
	f, ok := c.Fun.(*ast.SelectorExpr)
	if !ok || len(c.Args) == 0 {
		return "", ""
	}
	for _, k := range []string{"Counter", "Gauge", "Histogram", "Summary"} {
		if strings.Contains(f.Sel.Name, k) {
			kind = k
		}
	}
	ast.Inspect(c.Args[0], func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if ok && lit.Kind == token.STRING && name == "" {
			text, _ := strconv.Unquote(lit.Value)
			if m := metricRE.FindStringSubmatch(text); m != nil {
				name = m[1]
			}
		}
		return true
	})
	if kind == "" {
		name = ""
	}
	return name, kind
}

func decremented(all []source, dir string) bool {
	return slices.ContainsFunc(all, func(s source) bool { return s.dir() == dir && strings.Contains(s.text, ".Dec()") })
}

func endsWell(name, kind string) bool {
	total := strings.HasSuffix(name, "_total")
	switch kind {
	case "Counter":
		return total
	case "Gauge":
		return !total
	default:
		return strings.HasSuffix(name, "_seconds") || strings.HasSuffix(name, "_bytes")
	}
}

// leftovers are words that belong into nobody's code: notes to oneself, paths of
// one machine, numbers of a tracker.
var leftovers = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b|/(home|root|Users)/\w|\b[Ii]ssue #?\d+`)

func TestLeftovers(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir() == "gateway/house" {
			continue
		}
		for i, line := range strings.Split(s.text, "\n") {
			if w := leftovers.FindString(line); w != "" {
				t.Errorf("%s:%d: %q", s.path, i+1, w)
			}
		}
	}
}
