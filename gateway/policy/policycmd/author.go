package policycmd

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"text/template"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
	"portcullis/gateway/policy/regotest"
	"portcullis/policies"
)

//go:embed scaffold
var scaffold embed.FS

// written are the files that a command wrote, or would write.
type written struct {
	Files []string `json:"files"`
}

// New writes the first rule of a team with its tests into a directory, and data when it
// has none. What is written passes Check and Test.
func (p Policy) New(dir, team string) error {
	if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(team) || ast.IsKeyword(team) {
		return fmt.Errorf("a team's name is the last part of its package: small letters, digits and _, not %q", team)
	}
	files := map[string]string{"rule.rego": team + ".rego", "rule_test.rego": team + "_test.rego"}
	if !hasData(dir) {
		files["data.yaml"] = "data.yaml"
	}
	for _, name := range files {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s is there already; nothing was written", filepath.Join(dir, name))
		}
	}
	var w written
	for from, name := range files {
		text, err := filled(from, team)
		if err != nil {
			return err
		}
		if err := writeFile(dir, name, text); err != nil {
			return err
		}
		w.Files = append(w.Files, filepath.Join(dir, name))
	}
	slices.Sort(w.Files)
	return p.emit(output{value: w, text: func(out io.Writer) {
		line(out, "%s", strings.Join(w.Files, "\n"))
		line(out, "next: portcullis policy check %s", dir)
	}})
}

func hasData(dir string) bool {
	return slices.ContainsFunc([]string{"data.yaml", "data.yml", "data.json"}, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	})
}

func filled(from, team string) ([]byte, error) {
	raw, err := fs.ReadFile(scaffold, "scaffold/"+from+".tmpl")
	if err != nil {
		return nil, err
	}
	t, err := template.New(from).Delims("<<", ">>").Parse(string(raw))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, map[string]string{"Team": team})
	return out.Bytes(), err
}

// Fmt formats the Rego of a directory or a file as opa fmt does, or with check tells
// which files are formatted otherwise: ErrFound when there are some.
func (p Policy) Fmt(check bool) error {
	if p.Dir == "" || bundle.Signed(p.Dir) {
		return errors.New("name a directory or a .rego file: an archive is not changed")
	}
	b, err := p.read()
	if err != nil {
		return err
	}
	changed, err := formatted(b)
	if err != nil {
		return err
	}
	w, o := written{Files: []string{}}, output{}
	for _, f := range changed {
		w.Files = append(w.Files, f.Name)
		o.results = append(o.results, result{rule: "fmt", level: "warning", msg: "not formatted; run portcullis policy fmt", file: f.Name, line: 1})
		if check {
			continue
		}
		if err := os.WriteFile(f.Name, f.Text, 0o644); err != nil {
			return err
		}
	}
	o.value, o.text = w, func(out io.Writer) {
		for _, f := range w.Files {
			line(out, "%s", f)
		}
	}
	if err := p.emit(o); err != nil {
		return err
	}
	if check && len(w.Files) > 0 {
		return ErrFound
	}
	return nil
}

// formatted are the files that are formatted otherwise, as they should be. Where one cannot
// be read, none is.
func formatted(b *bundle.Bundle) (changed []bundle.File, err error) {
	var found program.Findings
	for _, f := range slices.Concat(b.Rules, b.Tests) {
		name := b.Title(f.Name)
		text, err := format.SourceWithOpts(name, f.Text, format.Opts{RegoVersion: ast.RegoV1})
		switch {
		case err != nil:
			found = append(found, program.CompileFindings(err)...)
		case !bytes.Equal(text, f.Text):
			changed = append(changed, bundle.File{Name: name, Text: text})
		}
	}
	return changed, found.Err()
}

// listedRule is a rule of a team as Rules reports it.
type listedRule struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Owners      []string `json:"owners"`
	Team        string   `json:"team"`
	Kind        string   `json:"kind"` // deny or obligations
	File        string   `json:"file"`
	Line        int      `json:"line"`
	Tests       []string `json:"tests"` // in which it speaks
}

// Rules lists the rules of teams: their ids, titles, owners and the tests in which they
// speak. Owners are the authors of the annotation, or its custom owner.
func (p Policy) Rules(ctx context.Context) error {
	prog, err := p.compile(ctx)
	if err != nil {
		return err
	}
	list := []listedRule{}
	if prog.Team != nil {
		tests, err := regotest.Traced(ctx, prog, "", prog.Team)
		if err != nil {
			return err
		}
		_, rules := lint.Check(prog, p.Catalogue.All())
		for _, r := range rules {
			l := listed(prog.Modules()[r.File], r)
			for _, t := range tests {
				if regotest.Reached(t, r.File, r.Line) {
					l.Tests = append(l.Tests, t.Name)
				}
			}
			slices.Sort(l.Tests)
			list = append(list, l)
		}
	}
	o := output{value: map[string]any{"rules": list}, text: func(w io.Writer) { writeRules(w, list) }}
	for _, l := range list {
		o.results = append(o.results, result{rule: l.ID, level: "note", msg: l.Title, file: l.File, line: l.Line})
	}
	return p.emit(o)
}

func listed(m *ast.Module, r lint.Rule) listedRule {
	l := listedRule{ID: r.ID, File: r.File, Line: r.Line, Owners: []string{}, Tests: []string{}}
	path := strings.Split(m.Package.Path.String(), ".")
	l.Kind, l.Team = path[2], path[3]
	for _, rule := range m.Rules {
		for _, a := range rule.Annotations {
			if a.Custom["id"] == r.ID {
				l.Title, l.Description = a.Title, strings.TrimSpace(a.Description)
				l.Owners = owners(a)
			}
		}
	}
	if l.Title == "" {
		l.Title = l.Description
	}
	return l
}

func owners(a *ast.Annotations) []string {
	out := []string{}
	for _, author := range a.Authors {
		out = append(out, strings.TrimSpace(author.Name+" "+author.Email))
	}
	if owner, ok := a.Custom["owner"].(string); ok {
		out = append(out, owner)
	}
	return out
}

func writeRules(w io.Writer, list []listedRule) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line(t, "id\ttitle\towners\ttests\tat")
	for _, l := range list {
		line(t, "%s\t%s\t%s\t%s\t%s:%d", l.ID, l.Title, strings.Join(l.Owners, ", "), strings.Join(l.Tests, ", "), l.File, l.Line)
	}
	_ = t.Flush() // errors are kept by the writer below
}

// Schema writes the JSON schema of the input or of the data.
func (p Policy) Schema(of string) error {
	raw, err := fs.ReadFile(policies.Files(), "schema/"+of+".json")
	if err != nil {
		return err
	}
	_, err = p.Out.Write(raw)
	return err
}
