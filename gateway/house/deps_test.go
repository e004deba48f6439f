package house_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// DO NOT CHANGE THIS TABLE TO MAKE A BUILD PASS. It is the architecture: every part
// of the gateway with the parts that it may import. A part may import its own
// packages; tests, the end-to-end tests, server and main may import everything.
var allowed = map[string]string{
	"call":      "",
	"retry":     "",
	"files":     "",
	"vault":     "budget call retry files",
	"op":        "vault call",
	"pipeline":  "op vault call",
	"ops":       "op vault call",
	"auth":      "budget call retry files",
	"budget":    "call", // what each part reserves of, and nothing else
	"config":    "budget call files",
	"policy":    "op budget call policies retry files",
	"limit":     "op budget call",
	"transform": "op budget call wasm retry files",
	"audit":     "op budget call retry files",
	"sink":      "files", // takes lines, whatever is in them
	"events":    "op budget call retry",
	"changes":   "events call retry",
	"openapi":   "op call",
	"obs":       "op call retry",
	"edge":      "obs budget call retry",
	"rest":      "pipeline edge op call",
	"vaultapi":  "edge events op budget call retry",
	"oidc":      "call files",
	"mcp":       "pipeline edge events op budget call retry",
	"sse":       "pipeline edge events op budget call",

	"vaultpolicy": "policy op call",
	"store":       "limit events call retry files",
	"server":      "", // the composition root: everything
}

// only says where a library may be imported: one part knows it, and the others see
// what that part makes of it.
var only = map[string]string{
	"github.com/open-policy-agent/opa":    "policy",
	"github.com/tetratelabs/wazero":       "transform",
	"github.com/hashicorp/vault/api":      "vault vaultpolicy", // the latter with an operator's own token
	"github.com/coder/websocket":          "vault vaultapi",    // events, as a client and as a server
	"github.com/knadh/koanf":              "config",
	"github.com/julienschmidt/httprouter": "edge",
	"github.com/lestrrat-go/jwx":          "auth",
	"github.com/lmittmann/tint":           "obs",
	"go.opentelemetry.io":                 "obs",
	"github.com/alecthomas/kong":          "main",
	"github.com/redis/go-redis":           "store",
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, why := range badImports(s) {
			t.Error(why)
		}
	}
}

// TestImportsShown: the rule finds what it is there for.
func TestImportsShown(t *testing.T) {
	for name, c := range map[string]struct {
		path, imports string
		bad           bool
	}{
		"transport knows Vault":      {"gateway/rest/x.go", "portcullis/gateway/vault", true},
		"transport knows its edge":   {"gateway/rest/x.go", "portcullis/gateway/edge", false},
		"pipeline knows the policy":  {"gateway/pipeline/x.go", "portcullis/gateway/policy", true},
		"pipeline knows OPA":         {"gateway/pipeline/x.go", "github.com/open-policy-agent/opa/v1/rego", true},
		"policy knows OPA":           {"gateway/policy/program/x.go", "github.com/open-policy-agent/opa/v1/rego", false},
		"call knows anything":        {"gateway/call/x.go", "portcullis/gateway/op", true},
		"part knows its own package": {"gateway/auth/x.go", "portcullis/gateway/auth/rule", false},
		"op knows a transport":       {"gateway/op/x.go", "portcullis/gateway/rest", true},
		"product knows its tests":    {"gateway/ops/x.go", "portcullis/gateway/e2e", true},
		"main knows everything":      {"gateway/x.go", "portcullis/gateway/policy", false},
		"new part":                   {"gateway/util/x.go", "strings", true},
	} {
		s, err := parseText(c.path, "package x\nimport _ "+strconv.Quote(c.imports))
		if err != nil {
			t.Fatal(err)
		}
		if got := badImports(s); (len(got) > 0) != c.bad {
			t.Errorf("%s: got %q, want a complaint: %v", name, got, c.bad)
		}
	}
}

// badImports says what a file imports and must not.
func badImports(s source) (why []string) {
	part, ok := partOf(s.dir())
	if s.test || !ok || isTestSupport(s.dir()) {
		return nil
	}
	if _, known := allowed[part]; !known && part != "main" {
		return []string{s.path + ": part " + part + " is not in the table of parts"}
	}
	for _, i := range s.ast.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		if !mayImport(part, path) {
			why = append(why, s.at(i)+": "+part+" must not import "+path)
		}
	}
	return why
}

func mayImport(part, path string) bool {
	for lib, home := range only {
		if path == lib || strings.HasPrefix(path, lib+"/") {
			return slices.Contains(strings.Fields(home), part)
		}
	}
	own, ours := strings.CutPrefix(path, "portcullis/")
	if !ours {
		return true
	}
	if isTestSupport(own) {
		return false
	}
	to, ok := partOf(own)
	if !ok {
		to, _, _ = strings.Cut(own, "/")
	}
	return part == "main" || part == "server" || part == to || slices.Contains(strings.Fields(allowed[part]), to)
}

// partOf names the part of the gateway that a folder belongs to.
func partOf(dir string) (string, bool) {
	below, ok := strings.CutPrefix(dir, "gateway")
	if below == "" {
		return "main", ok
	}
	part, _, _ := strings.Cut(strings.TrimPrefix(below, "/"), "/")
	return part, ok
}

// isTestSupport: packages that help tests, like net/http/httptest.
func isTestSupport(dir string) bool {
	return strings.HasPrefix(dir, "gateway/e2e") || strings.Contains(
		" gateway/house gateway/auth/authtest gateway/vault/vaulttest ", " "+dir+" ")
}
