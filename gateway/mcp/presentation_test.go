package mcp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/mcp"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
)

// schema is a tool's input schema as a model API reads it.
type schema map[string]any

type listedTool struct {
	Name, Title, Description string
	InputSchema              schema
	OutputSchema             schema
}

// listed are the tools that a server lists.
func listed(t testing.TB, s *mcp.Server, headers ...string) []listedTool {
	t.Helper()
	w := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, headers...)
	var reply struct{ Result struct{ Tools []listedTool } }
	if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil || w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return reply.Result.Tools
}

// TestToolsListIsSmall: the list of every operation is a small part of a model's
// context.
func TestToolsListIsSmall(t *testing.T) {
	w := newWorld(t)
	var err error
	w.Catalogue, err = ops.New(ops.Mounts{
		KV: "secret", Transit: "transit", Database: "database", SSH: "ssh", PKI: "pki", TOTP: "totp", Creds: "aws", Wrapping: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	got := post(t, mcp.New(w.Config).ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`).Body
	t.Logf("%d operations in %d bytes", len(w.Catalogue.All()), got.Len())
	if got.Len() > 25_000 {
		t.Errorf("%d operations are listed in %d bytes, want at most 25000", len(w.Catalogue.All()), got.Len())
	}
}

// The rules of the large providers for functions that a model can call: OpenAI (function
// calling, structured outputs), Anthropic (tool use), Gemini (FunctionDeclaration and
// Schema). What all of them take is the intersection.
var (
	functionName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$`) // Gemini wants a letter or underscore first; OpenAI and Anthropic no dot
	parameterName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,63}$`)  // Gemini
)

const (
	maxNesting    = 5    // OpenAI, structured outputs
	maxParameters = 100  // OpenAI, structured outputs
	maxAbout      = 1024 // bytes of a description, OpenAI
)

func keywords() []string {
	return []string{"type", "description", "properties", "required", "items", "enum", "minimum", "maximum", "minItems", "maxItems"}
}

// portability lists what some provider would not take of a schema.
func (s schema) portability(where string, depth int) (problems []string) {
	bad := func(what string) { problems = append(problems, where+": "+what) }
	for k := range s {
		if !slices.Contains(keywords(), k) {
			bad("keyword " + k)
		}
	}
	typ, ok := s["type"].(string)
	if !ok || !slices.Contains([]string{"object", "array", "string", "integer", "number", "boolean"}, typ) {
		bad("it has not one type")
	}
	if _, ok := s["enum"]; ok && typ != "string" {
		bad("an enum of what is no string")
	}
	if depth > maxNesting {
		bad("nested too deep")
	}
	if items, ok := s["items"].(map[string]any); ok {
		problems = append(problems, schema(items).portability(where+"[]", depth+1)...)
	} else if typ == "array" {
		bad("a list without items")
	}
	properties, _ := s["properties"].(map[string]any)
	for name, p := range properties {
		if !parameterName.MatchString(name) {
			bad("the name of " + name)
		}
		property, _ := p.(map[string]any)
		problems = append(problems, schema(property).portability(where+"."+name, depth+1)...)
	}
	required, _ := s["required"].([]any)
	for _, r := range required {
		if name, _ := r.(string); properties[name] == nil {
			bad("a required property that there is not")
		}
	}
	return problems
}

// TestSchemasAreWhatEveryModelAPITakes: one bad tool takes the whole list away from an
// agent.
func TestSchemasAreWhatEveryModelAPITakes(t *testing.T) {
	w := newWorld(t)
	w.Names = func(_ context.Context, _ *call.Caller, o *op.Op) ([]string, bool) {
		return []string{"a", "b"}, o.Engine == "transit" || o.Engine == "db"
	}
	tools := listed(t, mcp.New(w.Config))
	all := slices.DeleteFunc(slices.Clone(w.Catalogue.All()), func(o *op.Op) bool { return o.VaultAPI })
	if len(tools) != len(all) {
		t.Fatalf("%d of %d tools are listed", len(tools), len(all))
	}
	for _, tool := range tools {
		if !functionName.MatchString(tool.Name) || len(tool.Description) == 0 || len(tool.Description) > maxAbout {
			t.Errorf("%s: its name or its description of %d bytes", tool.Name, len(tool.Description))
		}
		if tool.InputSchema["type"] != "object" || len(tool.InputSchema) > maxParameters || tool.OutputSchema != nil {
			t.Errorf("%s: schema %v", tool.Name, tool.InputSchema)
		}
		for _, problem := range tool.InputSchema.portability(tool.Name, 0) {
			t.Error(problem)
		}
	}
}

// TestPortabilityFinds: the check finds what broke lists before.
func TestPortabilityFinds(t *testing.T) {
	for _, bad := range []string{
		`{"type":["null","integer"]}`, `{}`, `{"type":"object","additionalProperties":false}`, `{"type":"array"}`,
		`{"type":"integer","enum":[1]}`, `{"type":"object","properties":{"a.b":{"type":"string"}}}`, `{"type":"object","required":["x"]}`,
		`{"anyOf":[{"type":"string"}]}`, `{"type":"object","properties":{"a":{}}}`, `{"type":"string","const":"x"}`,
	} {
		var s schema
		if err := json.Unmarshal([]byte(bad), &s); err != nil {
			t.Fatal(err)
		}
		if len(s.portability("x", 0)) == 0 {
			t.Errorf("%s passes", bad)
		}
	}
}

// TestToolsets: a client sees the tools that it asks for, by the URL, by headers or by
// what the gateway is set to; what it does not see looks unknown.
func TestToolsets(t *testing.T) {
	for name, tc := range map[string]struct {
		query    string
		headers  []string
		view     mcp.View
		want     string // engines that are listed
		readOnly bool
	}{
		"all":               {query: "?toolsets=all", want: "db kv self ssh transit"},
		"one, by query":     {query: "?toolsets=kv", want: "kv"},
		"two, by query":     {query: "?toolsets=kv,transit&readonly=1", want: "kv transit", readOnly: true},
		"repeated":          {query: "?toolsets=kv&toolsets=%20SSH", want: "kv ssh"},
		"read-only alone":   {query: "?readonly", want: "db kv self ssh transit", readOnly: true},
		"by header":         {headers: []string{"X-MCP-Toolsets", "kv, self", "X-MCP-Readonly", "true"}, want: "kv self", readOnly: true},
		"not read-only":     {query: "?readonly=false", want: "db kv self ssh transit"},
		"the tighter one":   {query: "?readonly=0", headers: []string{"X-MCP-Readonly", "1"}, want: "db kv self ssh transit", readOnly: true},
		"set":               {view: mcp.View{Toolsets: []string{"kv", "db"}, ReadOnly: true}, want: "db kv", readOnly: true},
		"no more than set":  {query: "?toolsets=kv,ssh&readonly=0", view: mcp.View{Toolsets: []string{"kv", "db"}, ReadOnly: true}, want: "kv", readOnly: true},
		"none of those set": {query: "?toolsets=ssh", view: mcp.View{Toolsets: []string{"kv"}}, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.View = tc.view
			s := mcp.New(w.Config)
			at := func(rw http.ResponseWriter, r *http.Request, c *call.Caller) {
				r.URL.RawQuery = strings.TrimPrefix(tc.query, "?")
				s.ServeRPC(rw, r, c)
			}
			var reply struct{ Result struct{ Tools []listedTool } }
			if err := json.Unmarshal(post(t, at, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, tc.headers...).Body.Bytes(), &reply); err != nil {
				t.Fatal(err)
			}
			engines := map[string]bool{}
			shown := map[string]bool{}
			for _, tool := range reply.Result.Tools {
				engine, _, _ := strings.Cut(tool.Name, "_")
				engines[engine], shown[tool.Name] = true, true
			}
			for _, o := range w.Catalogue.All() {
				in := slices.Contains(strings.Fields(tc.want), o.Engine) && (!tc.readOnly || o.ReadOnly()) && !o.VaultAPI
				if name := strings.ReplaceAll(o.Name, ".", "_"); in != shown[name] {
					t.Errorf("%s is shown: %v, want %v", name, shown[name], in)
				}
			}
			got := post(t, at, agent(t), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ssh_otp","arguments":{}}}`, tc.headers...).Body.String()
			if unknown := strings.Contains(got, "unknown tool"); unknown == shown["ssh_otp"] {
				t.Errorf("a call got %s", got)
			}
		})
	}
	s := mcp.New(newWorld(t).Config)
	for _, headers := range [][]string{{"X-MCP-Toolsets", "kv,nope"}, {"X-MCP-Readonly", "perhaps"}} {
		got := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`, headers...)
		if got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), `"id":7`) || !regexp.MustCompile(`all, db, kv, self, ssh, transit|1 or 0`).MatchString(got.Body.String()) {
			t.Errorf("%v: got %d %s", headers, got.Code, got.Body)
		}
	}
}

// TestAQueryThatCannotBeReadNarrowsNothing: so it is refused, and not taken for none,
// which would show more than was asked for.
func TestAQueryThatCannotBeReadNarrowsNothing(t *testing.T) {
	s := mcp.New(newWorld(t).Config)
	for _, query := range []string{"readonly=1;toolsets=kv", "readonly=1&x=%zz", "readonly=1&" + strings.Repeat("x=1&", 12_000)} {
		at := func(rw http.ResponseWriter, r *http.Request, c *call.Caller) {
			r.URL.RawQuery = query
			s.ServeRPC(rw, r, c)
		}
		if got := post(t, at, agent(t), `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`); got.Code != http.StatusBadRequest {
			t.Errorf("%.40s: got %d %.100s", query, got.Code, got.Body)
		}
	}
}

// TestWhatSaysNothingIsAbsent: null, and the empty list that several languages write
// for an empty object, are read as if the member were not there. Arguments that came as
// the text that a model wrote are read from it.
func TestWhatSaysNothingIsAbsent(t *testing.T) {
	s := mcp.New(newWorld(t).Config)
	for _, message := range []string{
		`"method":"tools/list","params":null`, `"method":"tools/list","params":[]`, `"method":"tools/list","params":[ ]`,
		`"method":"tools/list","params":{"cursor":null,"_meta":null}`, `"method":"tools/list","params":{"_meta":[]}`,
		`"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/clientInfo":null,"progressToken":null}}`,
		`"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":[],"clientInfo":null}`,
		`"method":"initialize","params":{"protocolVersion":"2025-11-25"}`,
		`"method":"tools/call","params":{"name":"kv_list","arguments":""}`, `"method":"tools/call","params":{"name":"kv_read","arguments":" {\"path\":\"app\"}"}`,
		`"method":"tools/call","params":{"name":"kv_list","arguments":null}`, `"method":"tools/call","params":{"name":"kv_list","arguments":[]}`,
		`"method":"resources/read","params":{"uri":"kv://secret/mcp/agent/app","inputResponses":null,"requestState":null}`,
		`"method":"prompts/get","params":{"name":"rotate_secret","arguments":{"path":"a"},"_meta":[]}`,
	} {
		if got := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,`+message+`}`); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"result":{`) || strings.Contains(got.Body.String(), "isError") {
			t.Errorf("%s: got %d %.200s", message, got.Code, got.Body)
		}
	}
	for message, want := range map[string]string{
		`"method":"tools/list","params":[1]`:                                          "params must be an object, not a list",
		`"method":"tools/list","params":"x"`:                                          "params must be an object, not a string",
		`"method":"tools/call","params":{"name":"kv_list","arguments":[1]}`:           "arguments must be an object, not a list",
		`"method":"tools/call","params":{"name":"kv_list","arguments":"prefix"}`:      "arguments must be an object, not a string",
		`"method":"tools/call","params":{"name":7}`:                                   "name must be a string, not a number",
		`"method":"tools/call","params":{"Name":"kv_list"}`:                           "name is misspelt",
		`"method":"initialize","params":{"protocolVersion":"x","capabilities":"all"}`: "capabilities must be an object, not a string",
	} {
		if got := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,`+message+`}`).Body.String(); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", message, got, want)
		}
	}
}

// TestRefusalsSayEverythingInTheirText: most clients show a model the text alone.
func TestRefusalsSayEverythingInTheirText(t *testing.T) {
	denied := call.Errorf(call.Forbidden, "denied by policy")
	denied.Data = map[string]any{"reasons": []op.Reason{{Code: "stop.kv", Msg: "no secrets today"}}}
	helped := call.Errorf(call.Forbidden, "denied by policy")
	helped.Data = map[string]any{"reasons": []map[string]string{{"code": "work.hours", "msg": "only from 8 to 18", "remedy": "come back at 8"}}}
	for name, tc := range map[string]struct {
		err  *call.Error
		want []string
	}{
		"a reason of the policy": {denied, []string{"forbidden: denied by policy", "reason: no secrets today (stop.kv)", "next: do not repeat the call"}},
		"a remedy of the policy": {helped, []string{"reason: only from 8 to 18 (work.hours)", "next: come back at 8"}},
		"a scope":                {&call.Error{Code: call.InsufficientScope, Msg: "no", Scopes: []string{"write", "list"}}, []string{"next: get a credential with the scope write list"}},
		"a limit":                {&call.Error{Code: call.RateLimited, Msg: "too many", RetryAfter: 4e9}, []string{"rate_limited: too many", "next: try again in 4 s"}},
		"nothing there":          {call.Errorf(call.NotFound, "not found"), []string{"next: kv_list lists what there is", "mcp/agent", "kv://secret/FULL/PATH"}},
		"deleted":                {call.Errorf(call.Deleted, "deleted"), []string{"kv_undelete", "kv_metadata"}},
		"changed meanwhile":      {call.Errorf(call.CASMismatch, "changed"), []string{"read the secret again"}},
		"a wrong argument":       {call.Errorf(call.InvalidRequest, "argument path: missing"), []string{"next: kv_read takes path (string, required), version (integer). A path is below your own prefix, mcp/agent"}},
		"Vault is away":          {call.Errorf(call.VaultUnavailable, "away"), []string{"nothing was done; try again in 1 s"}},
		"nobody knows":           {call.Errorf(call.OutcomeUnknown, "lost"), []string{"look before you repeat it"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.answers["kv.read"] = func(*op.Request) (string, error) { return "", tc.err }
			got := post(t, mcp.New(w.Config).ServeRPC, agent(t), readApp).Body.Bytes()
			var reply struct {
				Result struct{ Content []struct{ Text string } }
			}
			if err := json.Unmarshal(got, &reply); err != nil || len(reply.Result.Content) != 1 {
				t.Fatalf("got %s", got)
			}
			for _, want := range append(tc.want, string(tc.err.Code)+": "+tc.err.Msg, "decision_id: d1", "request_id: r1") {
				if !strings.Contains(reply.Result.Content[0].Text, want) {
					t.Errorf("got %s, want it to say %s", reply.Result.Content[0].Text, want)
				}
			}
		})
	}
}

// TestGrantedPathsAreResources: what a caller was granted outside its own prefix is
// listed, suggested and read like what is its own.
func TestGrantedPathsAreResources(t *testing.T) {
	w := newWorld(t)
	shared, err := call.ParsePath("shared/a b")
	if err != nil {
		t.Fatal(err)
	}
	inside, err := call.ParsePath("mcp/agent/team")
	if err != nil {
		t.Fatal(err)
	}
	w.Granted = func(context.Context, *call.Caller) []call.Path { return []call.Path{shared, inside} }
	s := mcp.New(w.Config)
	list := post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"resources/list"}`).Body.String()
	if !strings.Contains(list, `"uri":"kv://secret/shared/a%20b/"`) || strings.Count(list, `kv://secret/mcp/agent/team/`) != 1 {
		t.Errorf("got %s", list)
	}
	for value, want := range map[string]string{"": `"values":["mcp/agent/","shared/a b/"]`, "sh": `"values":["shared/a b/"]`, "shared/a b/": `"values":["shared/a b/app","shared/a b/team/"]`} {
		body := `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"kv://secret/{+path}"},"argument":{"name":"path","value":"` + value + `"}}}`
		if got := post(t, s.ServeRPC, agent(t), body).Body.String(); !strings.Contains(got, want) {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
	post(t, s.ServeRPC, agent(t), `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"kv://secret/shared/a%20b/x"}}`)
	if last := w.calls[len(w.calls)-1]; last.Op != "kv.read" || !last.Absolute || string(last.Args) != `{"path":"shared/a b/x"}` {
		t.Errorf("the call was %s %s", last.Op, last.Args)
	}
}
