package document_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/document"
	"portcullis/policies"
)

func input(t testing.TB) document.Input {
	t.Helper()
	p, err := call.ParsePath("mcp/a/x")
	if err != nil {
		t.Fatal(err)
	}
	f := document.Facts{
		Caller: &call.Caller{
			Subject: "a", Kind: "agent", Tenant: "t", Issuer: "i", Roles: []string{"r"}, Scopes: []string{"read"},
			OnBehalfOf: &call.Actor{Subject: "u", Kind: "human"}, Prefix: p, Tier: "gold", Method: call.JWT, CertFP: "fp",
			AuthTime: time.Unix(1_700_000_000, 0), SourceIP: netip.MustParseAddr("192.0.2.1"),
		},
		Op:       &op.Op{Spec: op.Spec{Name: "kv.read", Engine: "kv", Effect: op.Read}},
		Request:  document.Request{ID: "id", Transport: "rest", Phase: "call"},
		Resource: call.Resource{Mount: "secret", Path: p, Version: 3},
		Keys:     []string{"path"}, Bytes: 12, Time: time.Unix(1_700_000_060, 0),
	}
	in := f.Input(document.Everything())
	in.Args.Values = map[string]any{"path": "x"}
	return in
}

// leaves are the paths of everything in a document that is no object; what may be
// null is a leaf.
func leaves(v any, path string) []string {
	m, ok := v.(map[string]any)
	if !ok || path == "principal.on_behalf_of" || path == "args.values" {
		return []string{path}
	}
	var out []string
	for k, v := range m {
		out = append(out, leaves(v, strings.TrimPrefix(path+"."+k, "."))...)
	}
	slices.Sort(out)
	return out
}

func asMap(t testing.TB, v any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// The type, the value for the evaluator, the schema and the keys know one document.
func TestOneDocument(t *testing.T) {
	in := input(t)
	typed := asMap(t, in)
	v, err := ast.JSON(document.NewWriter(document.Everything()).Value(&in))
	if err != nil {
		t.Fatal(err)
	}
	if written := asMap(t, v); !reflect.DeepEqual(written, typed) {
		t.Errorf("the evaluator gets\n%v\nthe type says\n%v", written, typed)
	}
	raw, err := fs.ReadFile(policies.Files(), "schema/input.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range leaves(typed, "") {
		last := leaf[strings.LastIndex(leaf, ".")+1:]
		if !strings.Contains(string(raw), fmt.Sprintf("%q", last)) {
			t.Errorf("the schema has no %s", leaf)
		}
		one := document.NewKeyer(document.NewReads([]string{leaf})).Append(nil, &in)
		if leaf != "v" && len(one) == 0 {
			t.Errorf("no key is made of %s", leaf)
		}
	}
}

// Two inputs share a key if and only if they agree in what is read.
func TestKeys(t *testing.T) {
	whole := document.NewKeyer(document.Everything())
	base := input(t)
	key := whole.Append(nil, &base)
	changes := map[string]func(*document.Input){
		"principal.id":    func(i *document.Input) { i.Principal.ID = "b" },
		"principal.kind":  func(i *document.Input) { i.Principal.Kind = "human" },
		"principal.roles": func(i *document.Input) { i.Principal.Roles = []string{"r", "s"} },
		"principal.scopes": func(i *document.Input) {
			i.Principal.Roles, i.Principal.Scopes = []string{"r", "read"}, nil // moved over the border
		},
		"principal.on_behalf_of": func(i *document.Input) { i.Principal.OnBehalfOf = nil },
		"principal.tenant": func(i *document.Input) {
			i.Principal.Kind, i.Principal.Tenant = "agentt", "" // joined, they would be the same
		},
		"resource.path":         func(i *document.Input) { i.Resource.Path = "mcp/a/y" },
		"args.values":           func(i *document.Input) { i.Args.Values = map[string]any{"path": "y"} },
		"action.public":         func(i *document.Input) { i.Action.Public = true },
		"context.time.hour_utc": func(i *document.Input) { i.Context.Time.HourUTC++ },
	}
	for path, change := range changes {
		t.Run(path, func(t *testing.T) {
			other := input(t)
			change(&other)
			if string(whole.Append(nil, &other)) == string(key) {
				t.Error("the whole key does not change")
			}
			unread := document.NewKeyer(document.NewReads([]string{"request.transport"}))
			if string(unread.Append(nil, &other)) != string(unread.Append(nil, &base)) {
				t.Error("a key changes with a field that is not read")
			}
		})
	}
}

// Terms are shared between inputs, but never what is read and differs.
func TestTermsAreSharedByEqualInputsAlone(t *testing.T) {
	one := input(t)
	two := one
	two.Request = document.Request{ID: "other", Transport: "mcp", Phase: "list", Deliver: "masked", WrapTTLS: 9, TTLS: 8, Reason: "why"}
	two.Principal.ID, two.Principal.Tier, two.Principal.Roles, two.Principal.Claims = "b", "low", []string{}, map[string]any{"team": "x"}
	two.Action.Op, two.Action.Effect, two.Action.Destructive = "kv.write", "write", true
	two.Context.SourceIP, two.Context.Client = "192.0.2.2", document.Client{Name: "n", Version: "1", Session: "s"}
	later := two
	later.Context.Time.UnixS++
	for _, path := range leaves(asMap(t, one), "") {
		w := document.NewWriter(document.NewReads([]string{path}))
		for i, in := range []document.Input{one, two, later, one, later} {
			v, err := ast.JSON(w.Value(&in))
			if err != nil {
				t.Fatal(err)
			}
			got, want := at(asMap(t, v), path), at(asMap(t, in), path)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s of input %d is %v, want %v", path, i, got, want)
			}
		}
	}
}

// at is what a document has at a dotted path.
func at(m map[string]any, path string) any {
	name, rest, deeper := strings.Cut(path, ".")
	if v, ok := m[name].(map[string]any); ok && deeper {
		return at(v, rest)
	}
	return m[name]
}

func TestReads(t *testing.T) {
	r := document.NewReads([]string{"principal.id", "args.values.x", "principal.id"})
	for path, want := range map[string]bool{
		"principal": true, "principal.id": true, "principal.idx": false, "principal.kind": false,
		"args": true, "args.values": true, "args.values.x.y": true, "args.values.y": false, "context": false, "": true,
	} {
		if got := r.Any(path); got != want {
			t.Errorf("%q: got %v, want %v", path, got, want)
		}
	}
}

const answer = `{"v":1,"allow":true,"reasons":[],"required_scopes":["read"],"path_prefix":"a","tier":"standard",
	"obligations":{"transforms":[{"name":"mask"},{"name":"cut","args":{"n":2}}],"deliver":"plain","wrap_ttl_s":0,"max_ttl_s":60,"approval":null}}`

func decode(t testing.TB, text string) (document.Output, error) {
	t.Helper()
	return document.Decode(ast.MustParseTerm(text).Value)
}

func TestDecode(t *testing.T) {
	out, err := decode(t, answer)
	if err != nil || !out.Allow || out.Obligations.MaxTTLS != 60 || len(out.Obligations.Transforms) != 2 || out.Tier != "standard" {
		t.Fatalf("got %+v, %v", out, err)
	}
	for name, change := range map[string][2]string{
		"a missing field":          {`"tier":"standard",`, ``},
		"an unknown field":         {`"v":1,`, `"v":1,"also":1,`},
		"an unknown field instead": {`"tier"`, `"teir"`},
		"allow that is no boolean": {`"allow":true`, `"allow":"true"`},
		"allow that is null":       {`"allow":true`, `"allow":null`},
		"another version":          {`"v":1`, `"v":2`},
		"a number that is none":    {`"max_ttl_s":60`, `"max_ttl_s":"60"`},
		"a negative bound":         {`"max_ttl_s":60`, `"max_ttl_s":-60`},
		"a broken bound":           {`"max_ttl_s":60`, `"max_ttl_s":0.5`},
		"scopes that are none":     {`["read"]`, `["read",1]`},
		"a scope instead of many":  {`["read"]`, `"read"`},
		"a nameless transform":     {`{"name":"mask"}`, `{"name":""}`},
		"an unknown duty":          {`"deliver":"plain",`, `"deliver":"plain","deliver2":"x",`},
		"a reason that is a text":  {`"reasons":[]`, `"reasons":["no"]`},
		"an approval that is one":  {`"approval":null`, `"approval":true`},
	} {
		text := strings.Replace(answer, change[0], change[1], 1)
		if text == answer {
			t.Fatalf("%s changes nothing", name)
		}
		if out, err := decode(t, text); err == nil {
			t.Errorf("%s is taken: %+v", name, out)
		}
	}
	for _, text := range []string{`true`, `null`, `[]`, `{}`} {
		if _, err := decode(t, text); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

func TestParseInput(t *testing.T) {
	in := input(t)
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := document.ParseInput(raw)
	if err != nil || !reflect.DeepEqual(got, in) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, in)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(answer)
	f.Fuzz(func(t *testing.T, text string) {
		term, err := ast.ParseTerm(text)
		if err != nil {
			return
		}
		if out, err := document.Decode(term.Value); err == nil && (out.V != 1 || out.Tier == "" && !strings.Contains(text, `""`)) {
			t.Errorf("%s gives %+v", text, out)
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	in := input(b)
	w := document.NewWriter(document.Everything())
	b.ReportAllocs()
	for b.Loop() {
		w.Value(&in)
	}
}

func ExampleReads_Any() {
	r := document.NewReads([]string{"context.time.hour_utc"})
	fmt.Println(r.Any("context.time"), r.Any("context.time.unix_s"))
	// Output: true false
}
