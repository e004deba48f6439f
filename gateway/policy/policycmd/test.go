package policycmd

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/tester"

	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/conform"
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
	prog, err := program.Compile(ctx, core, team)
	if err != nil {
		return err
	}
	bundles := []*bundle.Bundle{core}
	if team != nil && len(team.Rules)+len(team.Tests) > 0 {
		bundles = []*bundle.Bundle{team} // the embedded tests are about the embedded rules alone
	}
	r, err := regotest.Run(ctx, prog, regotest.Options{Run: o.Run}, bundles...)
	if err != nil {
		return err
	}
	if o.Run != "" && len(r.Results) == 0 {
		return fmt.Errorf("no test is called %s", o.Run)
	}
	bad := p.results(r)
	bad = p.coverage(r, bundles, o) || bad
	if o.JUnit != nil {
		if err := junit(o.JUnit, r); err != nil {
			return err
		}
	}
	if o.Conformance {
		failed, err := p.conformance(ctx, core, prog)
		if err != nil {
			return err
		}
		bad = bad || failed
	}
	if bad {
		return ErrFound
	}
	return nil
}

// results writes each test that failed, and how many there were.
func (p Policy) results(r regotest.Report) (bad bool) {
	for _, t := range r.Results {
		if !t.Pass() || t.Skip {
			fmt.Fprintf(p.Out, "FAIL %s:%d %s %s\n", t.Location.File, t.Location.Row, t.Name, outcome(t))
		}
	}
	fmt.Fprintf(p.Out, "%d tests, %d failed\n", len(r.Results), r.Failed())
	return r.Failed() > 0
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

// coverage writes the lines that no test reaches.
func (p Policy) coverage(r regotest.Report, bundles []*bundle.Bundle, o TestOptions) (bad bool) {
	covered, all := 0, 0
	for _, b := range bundles {
		for _, f := range b.Rules {
			report := r.Coverage.Files[b.Title(f.Name)]
			if report == nil {
				continue
			}
			covered += report.CoveredLines
			all += report.CoveredLines + report.NotCoveredLines
			for _, n := range report.NotCovered {
				fmt.Fprintf(p.Out, "%s:%d: not covered\n", b.Title(f.Name), n.Start.Row)
			}
			if o.Coverage {
				fmt.Fprintf(p.Out, "%s: %.1f%%\n", b.Title(f.Name), report.Coverage)
			}
		}
	}
	percent := 100.0
	if all > 0 {
		percent = 100 * float64(covered) / float64(all)
	}
	fmt.Fprintf(p.Out, "%.1f%% of %d lines are covered\n", percent, all)
	if percent < o.Threshold {
		fmt.Fprintf(p.Out, "which is below the threshold of %v%%\n", o.Threshold)
	}
	return percent < o.Threshold
}

// conformance runs the whole suite and the lints.
func (p Policy) conformance(ctx context.Context, core *bundle.Bundle, prog *program.Program) (bad bool, err error) {
	found, rules := lint.Check(prog, p.Catalogue.All())
	r, err := conform.Suite{Core: core, Program: prog, Ops: p.Catalogue.All(), Rules: rules, Pairs: true, Progress: p.progress("inputs tried")}.Run(ctx)
	if err != nil {
		return true, err
	}
	found = append(found, r.Findings...)
	for _, f := range found {
		fmt.Fprintln(p.Out, f)
	}
	fmt.Fprintf(p.Out, "conformance: %d inputs;", r.Inputs)
	for _, name := range slices.Sorted(maps.Keys(r.Checks)) {
		fmt.Fprintf(p.Out, " %s %d", name, r.Checks[name])
	}
	fmt.Fprintln(p.Out)
	return found.Err() != nil, nil
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
func junit(w io.Writer, r regotest.Report) error {
	s := testSuite{Name: "policy", Tests: len(r.Results), Failures: r.Failed()}
	for _, t := range r.Results {
		c := testCase{Class: t.Package, Name: t.Name, Seconds: t.Duration.Seconds()}
		if !t.Pass() || t.Skip {
			c.Failure = &failure{outcome(t)}
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
