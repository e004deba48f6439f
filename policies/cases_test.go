package policies_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"portcullis/gateway/call"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// testCase is a call and what is answered: "allow", or a list of codes.
type testCase struct {
	Name   string    `yaml:"name"`
	ID     string    `yaml:"id"`
	Tenant string    `yaml:"tenant"`
	Roles  []string  `yaml:"roles"`
	Scopes *[]string `yaml:"scopes"` // all when they are not there
	Op     string    `yaml:"op"`
	Path   string    `yaml:"path"`
	Want   any       `yaml:"want"`
	Prefix string    `yaml:"prefix"` // of an allowed call
}

func TestCases(t *testing.T) {
	pages, err := filepath.Glob("cases/*.yaml")
	if err != nil || len(pages) == 0 {
		t.Fatal("no cases", err)
	}
	for _, page := range pages {
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Data  map[string]any `yaml:"data"`
			Cases []testCase     `yaml:"cases"`
		}
		if err := yaml.Unmarshal(raw, &file); err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		p := withData(t, file.Data)
		for _, c := range file.Cases {
			t.Run(filepath.Base(page)+" "+c.Name, func(t *testing.T) { c.run(t, p) })
		}
	}
}

// withData compiles the default policy with the data of a page.
func withData(t *testing.T, data map[string]any) *program.Program {
	t.Helper()
	dir := t.TempDir()
	raw, err := yaml.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	team, err := bundle.Read(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Core()
	if err != nil {
		t.Fatal(err)
	}
	p, err := program.Compile(t.Context(), b, team)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (c testCase) input(t *testing.T) document.Input {
	t.Helper()
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	o := cat.Get(c.Op)
	if o == nil {
		t.Fatalf("no operation %s", c.Op)
	}
	scopes := []string{"read", "list", "write", "delete"}
	if c.Scopes != nil {
		scopes = *c.Scopes
	}
	caller := &call.Caller{Subject: c.ID, Tenant: c.Tenant, Roles: c.Roles, Scopes: scopes}
	f := document.FactsOfList(caller, o, time.Unix(1_700_000_000, 0))
	in := f.Input(document.Everything())
	in.Principal.Prefix = "mcp/" + c.ID
	if c.Path != "" {
		p, err := call.ParsePath(c.Path)
		if err != nil {
			t.Fatal(err)
		}
		in.Resource.Path, in.Resource.Ancestors = c.Path, p.Ancestors()
	}
	return in
}

func (c testCase) run(t *testing.T, p *program.Program) {
	in := c.input(t)
	out, err := p.Decide(t.Context(), &in, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if c.Want == "allow" {
		if !out.Allow || out.PathPrefix != c.Prefix {
			t.Errorf("got %+v, want it allowed below %q", out, c.Prefix)
		}
		return
	}
	var codes []string
	for _, r := range out.Reasons {
		codes = append(codes, r.Code)
	}
	slices.Sort(codes)
	if out.Allow || fmt.Sprint(codes) != fmt.Sprint(c.Want) {
		t.Errorf("allow %v, reasons %v, want %v", out.Allow, codes, c.Want)
	}
}
