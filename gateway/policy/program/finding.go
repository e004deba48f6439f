package program

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Finding is something wrong in a policy, where it is, and what cures it.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Check   string `json:"check"` // name of the check
	Msg     string `json:"msg"`
	Cure    string `json:"cure"`
	Warning bool   `json:"warning"` // does not keep the policy from being used
}

// String is the finding in two lines, as compilers write theirs.
func (f Finding) String() string {
	kind := "error"
	if f.Warning {
		kind = "warning"
	}
	place := f.File
	if f.Line > 0 {
		place += ":" + strconv.Itoa(f.Line)
	}
	return fmt.Sprintf("%s: %s: %s [%s]\n    cure: %s", place, kind, f.Msg, f.Check, f.Cure)
}

// Findings are an error when one of them is not a warning.
type Findings []Finding

// Error lists what is no warning.
func (fs Findings) Error() string {
	s := ""
	for _, f := range fs {
		if !f.Warning {
			s += "\n" + f.String()
		}
	}
	return "the policy is refused:" + s
}

// Err returns the findings as an error, nil when they are but warnings.
func (fs Findings) Err() error {
	if slices.ContainsFunc(fs, func(f Finding) bool { return !f.Warning }) {
		return fs
	}
	return nil
}

// CompileFindings turns the parser's and the compiler's errors into findings.
func CompileFindings(err error) Findings {
	var errs ast.Errors
	if one, ok := errors.AsType[*ast.Error](err); ok {
		errs = ast.Errors{one} // as of an empty file
	} else if !errors.As(err, &errs) {
		return Findings{{Check: "compile", Msg: err.Error(), Cure: "write valid Rego"}}
	}
	var out Findings
	for _, e := range errs {
		f := Finding{Check: "compile", Msg: e.Message, Cure: cureOf(e)}
		if e.Location != nil && e.Location.File != "" {
			f.File, f.Line = e.Location.File, max(e.Location.Row, 1)
		}
		out = append(out, f)
	}
	return out
}

func cureOf(e *ast.Error) string {
	switch e.Code {
	case ast.ParseErr:
		return "write valid Rego; `import rego.v2` at the top gives the newest form of it"
	case ast.TypeErr:
		return "use the fields and types of schema/input.json, and functions that depend on the input alone"
	}
	return "see the message"
}
