package openapi_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/openapi"
	"portcullis/gateway/ops"
)

func catalogue(t *testing.T) *op.Catalogue {
	t.Helper()
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh", PKI: "pki", TOTP: "totp", Creds: "aws", Wrapping: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func document(t *testing.T, keep func(*op.Op) bool) []byte {
	t.Helper()
	raw, err := openapi.New(catalogue(t), keep).JSON()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// valid checks a document against the specification. The validator is that of
// vacuum and wiretap, which follows OpenAPI 3.1 and JSON Schema 2020-12.
func valid(raw []byte) error {
	doc, err := libopenapi.NewDocument(raw)
	if err != nil {
		return err
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		return errs[0]
	}
	ok, problems := v.ValidateDocument()
	if ok {
		return nil
	}
	return fmt.Errorf("%v", problems)
}

func TestValid(t *testing.T) {
	if err := valid(document(t, nil)); err != nil {
		t.Error(err)
	}
	if err := valid(document(t, func(o *op.Op) bool { return false })); err != nil {
		t.Errorf("without operations: %v", err)
	}
}

// The validator is one that refuses.
func TestInvalidIsRefused(t *testing.T) {
	for _, change := range [][2]string{{`"in": "path"`, `"in": "nowhere"`}, {`"responses"`, `"answers"`}, {`"title": "Portcullis"`, `"titel": ""`}} {
		raw := strings.Replace(string(document(t, nil)), change[0], change[1], 1)
		if valid([]byte(raw)) == nil {
			t.Errorf("a document with %s is accepted", change[1])
		}
	}
}

// What is written down is what is served.
func TestGolden(t *testing.T) {
	want, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.TrimSpace(want), document(t, nil)) {
		t.Error("openapi.json is not up to date: make gen")
	}
}

// Every operation is there once, under its own route.
func TestComplete(t *testing.T) {
	var d struct {
		Paths map[string]map[string]struct {
			ID         string `json:"operationId"`
			Parameters []struct{ Name string }
			Body       struct {
				Content map[string]struct {
					Schema struct{ Properties map[string]any }
				}
			} `json:"requestBody"`
		}
	}
	if err := json.Unmarshal(document(t, nil), &d); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, methods := range d.Paths {
		for _, o := range methods {
			found[o.ID] = len(o.Parameters) + len(o.Body.Content["application/json"].Schema.Properties)
		}
	}
	for _, o := range catalogue(t).All() {
		if o.VaultAPI {
			continue
		}
		want := len(o.In.Properties)
		if o.Headers != "" {
			want-- // the gateway fills it
		}
		want += 2 // X-Request-Id and X-Correlation-Id
		if o.Engine != "self" {
			want += 2 // X-Portcullis-Deliver and X-Vault-Wrap-TTL
		}
		if n, ok := found[o.Name]; !ok || n != want {
			t.Errorf("%s: got %d arguments (described: %v), want %d", o.Name, n, ok, want)
		}
	}
}

func admitted(http.ResponseWriter, *http.Request, *call.Caller) bool { return true }

// TestACallerPaysForItsDocument: nothing is worked out for one that cannot.
func TestACallerPaysForItsDocument(t *testing.T) {
	h := openapi.Handler(catalogue(t), func(context.Context, *call.Caller, *op.Op) bool {
		t.Error("a refused request looks at the operations")
		return false
	}, func(w http.ResponseWriter, _ *http.Request, _ *call.Caller) bool {
		w.WriteHeader(http.StatusTooManyRequests)
		return false
	})
	w := httptest.NewRecorder()
	if h(w, httptest.NewRequest("GET", "/openapi.json", nil), &call.Caller{Subject: "a"}); w.Code != http.StatusTooManyRequests || w.Body.Len() > 0 {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
}

// A caller sees what it can call, and nothing of the rest.
func TestHandlerFilters(t *testing.T) {
	h := openapi.Handler(catalogue(t), func(_ context.Context, c *call.Caller, o *op.Op) bool {
		return c.Subject == "reader" && o.Name == "kv.read"
	}, admitted)
	w := httptest.NewRecorder()
	h(w, httptest.NewRequestWithContext(t.Context(), "GET", "/openapi.json", nil), &call.Caller{Subject: "reader"})
	body := w.Body.String()
	if !strings.Contains(body, `"kv.read"`) || strings.Contains(body, "transit") || strings.Contains(body, "kv.write") {
		t.Errorf("got %s, want kv.read alone", body)
	}
	if err := valid([]byte(body)); err != nil {
		t.Error(err)
	}
}

// The document of the same rights is encoded once.
func TestHandlerEncodesOnce(t *testing.T) {
	all := catalogue(t)
	h := openapi.Handler(all, func(_ context.Context, c *call.Caller, o *op.Op) bool { return c == nil || o.Engine == "kv" }, admitted)
	ask := func(c *call.Caller) func() {
		return func() {
			h(httptest.NewRecorder(), httptest.NewRequest("GET", "/openapi.json", nil), c)
		}
	}
	for name, c := range map[string]*call.Caller{"nobody": nil, "a caller": {Subject: "a"}} {
		ask(c)()
		if n := testing.AllocsPerRun(20, ask(c)); n > 100 {
			t.Errorf("%s: %v allocations for a document that is there, want no encoding", name, n)
		}
	}
}

// An object of which the schema says no more may hold anything: generators take it for
// one that holds nothing otherwise.
func TestOpenObjects(t *testing.T) {
	var walk func(where string, v any)
	walk = func(where string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if v["type"] == "object" && v["properties"] == nil && v["additionalProperties"] != true {
				if m, ok := v["additionalProperties"].(map[string]any); !ok || m["type"] == nil {
					t.Errorf("%s is an object that can hold nothing: %v", where, v)
				}
			}
			for k, x := range v {
				walk(where+"/"+k, x)
			}
		case []any:
			for _, x := range v {
				walk(where, x)
			}
		}
	}
	var d any
	if err := json.Unmarshal(document(t, nil), &d); err != nil {
		t.Fatal(err)
	}
	walk("", d)
}

func ExampleNew() {
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		panic(err)
	}
	d := openapi.New(c, func(o *op.Op) bool { return o.Name == "self.whoami" })
	_, there := d.Paths["/whoami"]
	fmt.Println(d.OpenAPI, there)
	// Output: 3.1.1 true
}

// TestEverybodysDocumentIsEncodedOnce: who presents no credential costs nothing but
// the sending.
func TestEverybodysDocumentIsEncodedOnce(t *testing.T) {
	h := openapi.Handler(catalogue(t), func(context.Context, *call.Caller, *op.Op) bool {
		t.Error("an anonymous request looks at the operations")
		return false
	}, nil)
	var first string
	for i := range 10 {
		w := httptest.NewRecorder()
		h(w, httptest.NewRequest("GET", "/openapi.json", nil), nil)
		if first = cmp.Or(first, w.Body.String()); w.Body.String() != first || first == "" {
			t.Fatalf("answer %d differs", i)
		}
	}
}
