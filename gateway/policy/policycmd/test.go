package policycmd

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/tester"

	"portcullis/gateway/policy/admission"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/failclosed"
	"portcullis/gateway/policy/lint"
	"portcullis/gateway/policy/program"
	"portcullis/gateway/policy/regotest"
)

// TestOptions say what to test.
type TestOptions struct {
	Run         string    // regular expression of names
	Coverage    bool      // write what tests cover of each file
	Threshold   float64   // per cent of lines that tests must cover
	JUnit       io.Writer // for a report in JUnit's form; nil for none
	Conformance bool      // run the whole fail-closed suite, pairs of fields included
}

// Test runs the tests of the embedded policy and of the directory.
func (p Policy) Test(ctx context.Context, o TestOptions) error {
	core, team, err := p.load()
	if err != nil {
		return err
	}
	prog, err := p.program(ctx, core, team)
	if err != nil {
		return err
	}
	bundles := []*bundle.Bundle{core}
	if team != nil && len(team.Rules)+len(team.Tests) > 0 {
		bundles = []*bundle.Bundle{team} // the embedded tests are about the embedded rules alone
	}
	t, err := admission.Within(ctx, p.work(), "to run its tests", func(ctx context.Context) (tested, error) {
		return runTests(ctx, prog, bundles, o)
	})
	if err != nil {
		return err
	}
	if o.JUnit != nil {
		if err := junit(o.JUnit, t); err != nil {
			return err
		}
	}
	if o.Conformance {
		if err := p.conformance(ctx, core, prog, &t); err != nil {
			return err
		}
	}
	if err := p.emit(output{value: t, text: t.write, results: t.results()}); err != nil {
		return err
	}
	if t.Failed > 0 || t.Percent < o.Threshold || program.Findings(t.Findings).Err() != nil {
		return ErrFound
	}
	return nil
}

func runTests(ctx context.Context, prog *program.Program, bundles []*bundle.Bundle, o TestOptions) (t tested, err error) {
	r, err := regotest.Run(ctx, prog, regotest.Options{Run: o.Run}, bundles...)
	if err != nil {
		return t, err
	}
	if o.Run != "" && len(r.Results) == 0 {
		return t, fmt.Errorf("no test is called %s", o.Run)
	}
	if t, err = newTested(ctx, prog, r, bundles); err != nil {
		return t, err
	}
	t.coverage(r, bundles, o)
	return t, nil
}

// tested is the JSON form of Test.
type tested struct {
	Tests       []ranTest         `json:"tests"`
	Failed      int               `json:"failed"`
	Percent     float64           `json:"covered_percent"`
	Lines       int               `json:"lines"`
	NotCovered  []place           `json:"-"`
	Uncovered   []string          `json:"not_covered"`
	Files       []coveredFile     `json:"files,omitempty"`
	Threshold   float64           `json:"threshold,omitempty"`
	Findings    []program.Finding `json:"findings"`
	Conformance *conformed        `json:"conformance,omitempty"`
}

// ranTest is a test and, when it failed, what it expected.
type ranTest struct {
	Name     string  `json:"name"`
	Package  string  `json:"package"`
	File     string  `json:"file"`
	Line     int     `json:"line"`
	Pass     bool    `json:"pass"`
	Seconds  float64 `json:"seconds"`
	Why      string  `json:"why,omitempty"`
	Expr     string  `json:"expression,omitempty"`
	Expected string  `json:"expected,omitempty"`
	Got      string  `json:"got,omitempty"`
}

type coveredFile struct {
	Name    string  `json:"name"`
	Percent float64 `json:"percent"`
}

type conformed struct {
	Inputs int            `json:"inputs"`
	Checks map[string]int `json:"checks"`
}

func newTested(ctx context.Context, prog *program.Program, r regotest.Report, bundles []*bundle.Bundle) (tested, error) {
	t := tested{Tests: []ranTest{}, Failed: r.Failed(), Uncovered: []string{}, Findings: []program.Finding{}}
	var failed []string
	for _, x := range r.Results {
		ran := ranTest{Name: x.Name, Package: x.Package, File: x.Location.File, Line: x.Location.Row, Pass: x.Pass() && !x.Skip, Seconds: x.Duration.Seconds()}
		if !ran.Pass {
			ran.Why = outcome(x)
			failed = append(failed, regexp.QuoteMeta(x.Name))
		}
		t.Tests = append(t.Tests, ran)
	}
	if len(failed) == 0 {
		return t, nil
	}
	traced, err := regotest.Traced(ctx, prog, strings.Join(failed, "|"), bundles...)
	for _, x := range traced {
		for i := range t.Tests {
			if ran := &t.Tests[i]; !ran.Pass && ran.File == x.Location.File && ran.Line == x.Location.Row {
				ran.compared(x)
			}
		}
	}
	return t, err
}

// compared adds what the failing expression expected.
func (r *ranTest) compared(x *tester.Result) {
	why, found := regotest.WhyNot(x)
	if !found {
		return
	}
	r.Line, r.Expr, r.Expected, r.Got = why.Line, why.Expr, why.Expected, why.Got
}

func (t tested) write(w io.Writer) {
	for _, x := range t.Tests {
		if x.Pass {
			continue
		}
		line(w, "FAIL %s:%d %s %s", x.File, x.Line, x.Name, x.Why)
		if x.Expr != "" {
			line(w, "    %s", x.Expr)
		}
		if x.Expected != "" {
			line(w, "    expected %s, got %s", x.Expected, x.Got)
		}
	}
	line(w, "%d tests, %d failed", len(t.Tests), t.Failed)
	if len(t.Tests) == 0 {
		line(w, "there is no test (test_… in a file *_test.rego): policy check, and so the gateway, refuses rules without one")
	}
	for _, u := range t.Uncovered {
		line(w, "%s: not covered", u)
	}
	for _, f := range t.Files {
		line(w, "%s: %.1f%%", f.Name, f.Percent)
	}
	line(w, "%.1f%% of %d lines are covered", t.Percent, t.Lines)
	if t.Percent < t.Threshold {
		line(w, "which is below the threshold of %v%%", t.Threshold)
	}
	for _, f := range t.Findings {
		line(w, "%s", f)
	}
	if c := t.Conformance; c != nil {
		checks := ""
		for _, name := range slices.Sorted(maps.Keys(c.Checks)) {
			checks += fmt.Sprintf(" %s %d", name, c.Checks[name])
		}
		line(w, "conformance: %d inputs;%s", c.Inputs, checks)
	}
}

func (t tested) results() []result {
	out := findings(t.Findings)
	for _, x := range t.Tests {
		if x.Pass {
			continue
		}
		msg := x.Name + " " + x.Why
		if x.Expected != "" {
			msg += ": " + x.Expr + ": expected " + x.Expected + ", got " + x.Got
		}
		out = append(out, result{rule: "test", level: "error", msg: msg, file: x.File, line: x.Line})
	}
	for _, p := range t.NotCovered {
		out = append(out, result{rule: "coverage", level: "note", msg: "no test reaches this", file: p.file, line: p.line})
	}
	return out
}

func outcome(t *tester.Result) string {
	switch {
	case t.Error != nil:
		return t.Error.Error()
	case t.Skip:
		return "skipped"
	}
	return "does not hold"
}

// coverage finds the lines that no test reaches.
func (t *tested) coverage(r regotest.Report, bundles []*bundle.Bundle, o TestOptions) {
	covered := 0
	for _, b := range bundles {
		for _, f := range b.Rules {
			report := r.Coverage.Files[b.Title(f.Name)]
			if report == nil {
				continue
			}
			covered += report.CoveredLines
			t.Lines += report.CoveredLines + report.NotCoveredLines
			for _, n := range report.NotCovered {
				at := place{b.Title(f.Name), n.Start.Row}
				if slices.Contains(t.NotCovered, at) {
					continue // two parts of one line
				}
				t.NotCovered, t.Uncovered = append(t.NotCovered, at), append(t.Uncovered, at.String())
			}
			if o.Coverage {
				t.Files = append(t.Files, coveredFile{b.Title(f.Name), report.Coverage})
			}
		}
	}
	t.Percent, t.Threshold = 100, o.Threshold
	if t.Lines > 0 {
		t.Percent = 100 * float64(covered) / float64(t.Lines)
	}
}

// conformance runs the whole suite and the lints.
func (p Policy) conformance(ctx context.Context, core *bundle.Bundle, prog *program.Program, t *tested) error {
	found, rules := lint.Check(prog, p.Catalogue.All())
	r, err := failclosed.Suite{Core: core, Program: prog, Ops: p.Catalogue.All(), Rules: rules, Pairs: true, Build: true, Workers: runtime.GOMAXPROCS(0), Progress: p.progress("inputs tried")}.Run(ctx)
	if err != nil {
		return err
	}
	t.Findings = append(t.Findings, append(found, r.Findings...)...)
	t.Conformance = &conformed{r.Inputs, r.Checks}
	return nil
}

type testSuite struct {
	XMLName  xml.Name   `xml:"testsuite"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Cases    []testCase `xml:"testcase"`
}

type testCase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Seconds float64  `xml:"time,attr"`
	Failure *failure `xml:"failure,omitempty"`
}

type failure struct {
	Message string `xml:"message,attr"`
}

// junit writes the report in the form that CI systems read.
func junit(w io.Writer, t tested) error {
	s := testSuite{Name: "policy", Tests: len(t.Tests), Failures: t.Failed}
	for _, x := range t.Tests {
		c := testCase{Class: x.Package, Name: x.Name, Seconds: x.Seconds}
		if !x.Pass {
			c.Failure = &failure{x.Why}
			if x.Expected != "" {
				c.Failure.Message += ": expected " + x.Expected + ", got " + x.Got
			}
		}
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(s); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
