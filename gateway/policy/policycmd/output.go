package policycmd

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"portcullis/gateway/policy/program"
)

// Format is the form in which a command writes what it found.
type Format string

// The forms: text for people, JSON for programs, SARIF 2.1.0 for code scanning.
const (
	Text  Format = ""
	JSON  Format = "json"
	SARIF Format = "sarif"
)

// output is what a command found, in every form.
type output struct {
	text    func(w io.Writer)
	value   any // of the JSON form
	results []result
}

// result is one thing found, as SARIF has it.
type result struct {
	rule, level, msg string // level is error, warning or note
	file             string
	line             int
}

// emit writes an output in the form that was asked for.
func (p Policy) emit(o output) error {
	switch p.Format {
	case JSON:
		return encode(p.Out, o.value)
	case SARIF:
		return encode(p.Out, sarifOf(o.results))
	}
	w := &errWriter{w: p.Out}
	o.text(w)
	return w.err
}

// errWriter keeps the first error, so that texts can be written line by line.
type errWriter struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (e *errWriter) Write(b []byte) (int, error) {
	if e.err != nil {
		return len(b), nil
	}
	_, e.err = e.w.Write(b)
	return len(b), nil
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// findings are results of checks.
func findings(list program.Findings) (out []result) {
	for _, f := range list {
		level := "error"
		if f.Warning {
			level = "warning"
		}
		out = append(out, result{rule: f.Check, level: level, msg: f.Msg + "; cure: " + f.Cure, file: f.File, line: f.Line})
	}
	return out
}

// sarif is a log of SARIF 2.1.0 (OASIS) with one run.
type sarif struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool    sarifTool     `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name  string      `json:"name"`
	Rules []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID string `json:"id"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	Level     string          `json:"level"`
	Message   sarifMessage    `json:"message"`
	Locations []sarifLocation `json:"locations,omitempty"`
}

type sarifMessage struct {
	Text string `json:"text"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}

func sarifOf(list []result) sarif {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "portcullis policy", Rules: []sarifRule{}}}, Results: []sarifResult{}}
	for _, r := range list {
		if rule := (sarifRule{r.rule}); !slices.Contains(run.Tool.Driver.Rules, rule) {
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
		}
		s := sarifResult{RuleID: r.rule, Level: r.level, Message: sarifMessage{r.msg}}
		if r.file != "" {
			at := sarifPhysical{Artifact: sarifArtifact{r.file}}
			if r.line > 0 {
				at.Region = &sarifRegion{r.line}
			}
			s.Locations = []sarifLocation{{at}}
		}
		run.Results = append(run.Results, s)
	}
	return sarif{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

// line writes one line of text.
func line(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
