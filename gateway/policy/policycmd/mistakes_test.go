package policycmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/policycmd"
	"portcullis/gateway/policy/program"
	"portcullis/gateway/policy/reach"
)

// sources are policies that cannot be used, and what is said of each.
func sources(t *testing.T) map[string]struct {
	dir  string
	want []string
	file bool // something is wrong with a file, which is a finding
} {
	t.Helper()
	type source = struct {
		dir  string
		want []string
		file bool
	}
	root := t.TempDir()
	in := func(name, text string) string {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		return filepath.Dir(path)
	}
	in("two/data.yaml", "a: {\n")
	return map[string]source{
		"missing":                {filepath.Join(root, "none"), []string{"none", "no such file"}, false},
		"empty":                  {t.TempDir(), []string{"neither a rule nor data", "POLICY_DIR"}, false},
		"a text":                 {in("x/notes.txt", "x") + "/notes.txt", []string{"neither a .rego file"}, false},
		"not Rego":               {in("notrego/x.rego", "hello {"), []string{"x.rego:1", "cure: write valid Rego"}, true},
		"a byte of a program":    {in("binary/x.rego", "\x00\x01"), []string{"x.rego:1", "cure: "}, true},
		"not YAML":               {in("notyaml/data.yaml", "a: {\n"), []string{"data.yaml:1", "cure: write one YAML or JSON document"}, true},
		"a list":                 {in("list/data.yaml", "- a\n"), []string{"data.yaml:1", "cure: "}, true},
		"other data":             {in("other/data.yaml", "grants: 5\n"), []string{"data.yaml:1", "grants is a whole number", "cure: "}, true},
		"a directory for data":   {filepath.Dir(in("dirdata/data.yaml/x", "x")), []string{"data.yaml:1", "a directory, where a file is meant", "cure: "}, true},
		"a directory for rules":  {filepath.Dir(in("dirrego/a.rego/x", "x")), []string{"a.rego:1", "a directory, where a file is meant"}, true},
		"two faults":             {in("two/x.rego", "hello {"), []string{"cure: "}, true},
		"an archive without key": {in("archive/p.tar.gz", "\x1f\x8b") + "/p.tar.gz", []string{"--key-id", "POLICY_KEY_FILE"}, false},
		"a link to nowhere":      {linked(t, filepath.Join(root, "away")), []string{"x.rego:1", "cure: "}, true},
	}
}

// linked is a directory whose only file is a link out of it.
func linked(t *testing.T, to string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(to, filepath.Join(dir, "x.rego")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// commands are the commands that read a policy.
func commands(t *testing.T) map[string]func(p policycmd.Policy) error {
	t.Helper()
	question, good := []byte(asking("kv.read", "mcp/agent_api/x", "", "}}")), policycmd.Policy{Dir: fixtures + "policy-dev"}
	return map[string]func(p policycmd.Policy) error{
		"check":    func(p policycmd.Policy) error { return p.Check(t.Context()) },
		"test":     func(p policycmd.Policy) error { return p.Test(t.Context(), policycmd.TestOptions{}) },
		"eval":     func(p policycmd.Policy) error { return p.Eval(t.Context(), question) },
		"explain":  func(p policycmd.Policy) error { return p.Explain(t.Context(), question, false) },
		"inspect":  func(p policycmd.Policy) error { return p.Inspect(t.Context()) },
		"reach":    func(p policycmd.Policy) error { return p.Reach(t.Context(), reach.Filter{}) },
		"diff":     func(p policycmd.Policy) error { return p.Diff(t.Context(), good) },
		"rules":    func(p policycmd.Policy) error { return p.Rules(t.Context()) },
		"fmt":      func(p policycmd.Policy) error { return p.Fmt(true) },
		"coverage": func(p policycmd.Policy) error { return p.Coverage(t.Context(), strings.NewReader("")) },
		"replay":   func(p policycmd.Policy) error { _, err := p.Replay(t.Context(), strings.NewReader("")); return err },
		"build":    func(p policycmd.Policy) error { return p.Build(t.Context(), &bytes.Buffer{}, policycmd.BuildOptions{}) },
		"tighten": func(p policycmd.Policy) error {
			return p.Tighten(t.Context(), strings.NewReader(""), filepath.Join(t.TempDir(), "out"))
		},
	}
}

// ours are words of the program that say nothing to whom reads a message.
var ours = regexp.MustCompile(`Go value|struct \{|rego_parse_error|0x[0-9a-f]+|%!`)

// A policy that cannot be used is said by every command in the same way: where the fault is,
// and its cure, in the form that was asked for.
func TestEveryCommandSaysWhatIsWrongWithAPolicy(t *testing.T) {
	for kind, source := range sources(t) {
		for name, do := range commands(t) {
			if name == "fmt" && (kind == "other data" || strings.Contains(kind, "without key")) {
				continue // it reads Rego alone, and no archive
			}
			for _, form := range []policycmd.Format{policycmd.Text, policycmd.JSON, policycmd.SARIF} {
				if form != policycmd.Text && !source.file {
					continue // the error alone says it
				}
				p, out := on(t, source.dir)
				p.Format, p.Keys = form, bundle.Keys(nil)
				err := do(p)
				finds := source.file && name == "check" // whose work is to find
				if err == nil || name != "build" && errors.Is(err, policycmd.ErrFound) != finds {
					t.Errorf("%s of %s: %v", name, kind, err)
					continue
				}
				if err := p.Refused(err); err != nil {
					t.Error(err)
				}
				said := err.Error() + out.String()
				for _, want := range source.want {
					if form == policycmd.Text && !strings.Contains(said, want) {
						t.Errorf("%s of %s: no %q in %s", name, kind, want, said)
					}
				}
				if ours.MatchString(said) {
					t.Errorf("%s of %s: %s", name, kind, said)
				}
				if form != policycmd.Text && source.file {
					holdsFinding(t, name+" of "+kind, form, out.Bytes())
				}
			}
		}
	}
}

// A policy that takes too long is said by every command, as by the gateway: to compile a rule
// may take hours.
func TestNoCommandWaitsForAPolicyWithoutEnd(t *testing.T) {
	for name, do := range commands(t) {
		if name == "fmt" { // it compiles nothing
			continue
		}
		p, out := on(t, fixtures+"policy-dev")
		p.Within = time.Nanosecond
		if err := do(p); err == nil || !strings.Contains(err.Error()+out.String(), "it takes longer than 1ns to compile its rules") {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
}

// holdsFinding wants a document with something that was found.
func holdsFinding(t *testing.T, what string, form policycmd.Format, text []byte) {
	t.Helper()
	var doc struct {
		Findings program.Findings
		Runs     []struct {
			Results []struct{ RuleID string }
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Errorf("%s, %s: %v in %s", what, form, err, text)
	}
	if form == policycmd.JSON && len(doc.Findings) == 0 || form == policycmd.SARIF && (len(doc.Runs) != 1 || len(doc.Runs[0].Results) == 0) {
		t.Errorf("%s, %s: nothing is found in %s", what, form, text)
	}
}

// What is given beside a policy, and is something else, is said as well.
func TestEveryCommandSaysWhatIsWrongWithItsInput(t *testing.T) {
	for input, want := range map[string]string{
		"": "there is nothing", " \n": "there is nothing", "{": "no JSON", "[]": "of the type array", `"x"`: "of the type string", "not json": "no JSON",
		`{"v":1,"principal":{"id":"a"},"action":{"op":"kv.raed"}}`: `"kv.raed"`, `{"v":1,"principal":{"id":"a","role":[]},"action":{"op":"kv.read"}}`: "role",
	} {
		for name, do := range map[string]func(p policycmd.Policy) error{
			"eval":    func(p policycmd.Policy) error { return p.Eval(t.Context(), []byte(input)) },
			"explain": func(p policycmd.Policy) error { return p.Explain(t.Context(), []byte(input), false) },
		} {
			p, _ := on(t, "")
			if err := do(p); err == nil || !strings.Contains(err.Error(), want) || ours.MatchString(err.Error()) {
				t.Errorf("%s of %q: %v, want %q", name, input, err, want)
			}
		}
	}
	for log, want := range map[string]string{
		"": "", "not json\n": "line 1", "[]\n": "line 1", "{\"seq\":1}\n{\"seq\":2}\n": "none of the 2 lines", "{\"v\":1,\"shadow\":\"r\"}\n": "",
	} {
		p, _ := on(t, fixtures+"policy-dev")
		_, err := p.Replay(t.Context(), strings.NewReader(log))
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || ours.MatchString(err.Error())) {
			t.Errorf("replay of %q: %v, want %q", log, err, want)
		}
	}
	p, out := on(t, fixtures+"policy-dev")
	if err := p.Reach(t.Context(), reach.Filter{Path: "/mcp//x"}); err == nil {
		t.Error("a path that no call can have is looked for")
	}
	if err := p.Reach(t.Context(), reach.Filter{Who: "nobody"}); err != nil || !strings.Contains(out.String(), `no grant names "nobody"`) {
		t.Errorf("%v: %s", err, out)
	}
}

// Files that cannot be read hide neither each other nor what is wrong with the rules.
func TestEveryFaultOfFilesIsSaid(t *testing.T) {
	dir := dirOf(t, map[string]string{
		"data.yaml": "team: {}\nteam: {}\n", "sub/data.yaml": "{}", "a.rego": "package policy.deny.a\n\ndeny contains {", "b_test.rego": "package x\n\n]",
		"good.rego": "package policy.deny.b\n",
	})
	var out strings.Builder
	err := policycmd.Policy{Dir: dir, Catalogue: catalogue(t), Out: &out}.Check(t.Context())
	for _, want := range []string{"/data.yaml:2", "/sub/data.yaml:1", "/a.rego:3", "/b_test.rego:3"} {
		if !errors.Is(err, policycmd.ErrFound) || !strings.Contains(out.String(), dir+want) {
			t.Errorf("no %s in %v: %s", want, err, out.String())
		}
	}
	if strings.Contains(out.String(), "good.rego") {
		t.Error(out.String())
	}
}
