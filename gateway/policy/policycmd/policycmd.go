package policycmd

import (
	"context"
	"errors"
	"io"
	"runtime"
	"time"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/admission"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/program"
)

// ErrFound means that there is something to look at: findings, failed tests, calls
// that flip. It has been written, and is no failure of the command itself.
var ErrFound = errors.New("something was found")

// Policy is the policy that a command is about.
type Policy struct {
	Dir       string      // directory, file or signed archive; empty for the embedded policy
	Keys      bundle.Keys // of signed archives
	Catalogue *op.Catalogue
	// Transform and Manifest are those of admission.Options.
	Transform func(op, name string, args map[string]any) error
	Manifest  bool
	Format    Format // of what is written
	Out       io.Writer
	Progress  io.Writer // says what takes long; nil for nobody
	// Within is how long the policy may be compiled, tested or checked; admission.MaxTime, as
	// in the gateway, when it is 0.
	Within time.Duration
}

// load reads the bundles.
func (p Policy) load() (core, team *bundle.Bundle, err error) {
	if core, err = bundle.Core(); err != nil || p.Dir == "" {
		return core, nil, err
	}
	team, err = p.read()
	return core, team, err
}

// read reads the policy. What is wrong with its files are findings.
func (p Policy) read() (*bundle.Bundle, error) {
	team, err := bundle.Read(p.Dir, p.Keys)
	if f, ok := errors.AsType[*bundle.Faults](err); ok {
		return nil, admission.Unreadable(f)
	}
	return team, err
}

// Refused writes the findings that kept a command from its work, in the form for programs
// that was asked for; the text of the error has them for people.
func (p Policy) Refused(err error) error {
	found, ok := errors.AsType[program.Findings](err)
	if !ok || p.Format == Text {
		return nil
	}
	return p.emit(output{value: map[string]any{"ok": false, "findings": found}, results: findings(found)})
}

// checks are what the policy is held against.
func (p Policy) checks() admission.Options {
	return admission.Options{Ops: p.Catalogue.All(), Transform: p.Transform, Manifest: p.Manifest, Workers: runtime.GOMAXPROCS(0), Progress: p.progress("inputs tried"), Within: p.Within}
}

// work is work on the policy that is waited for no longer than the gateway would.
func (p Policy) work() *admission.Work { return &admission.Work{Place: p.Dir, For: p.Within} }

// compile compiles the policy without the other checks, so that a policy that is
// being written can be asked already.
func (p Policy) compile(ctx context.Context) (*program.Program, error) {
	core, team, err := p.load()
	if err != nil {
		return nil, err
	}
	return p.program(ctx, core, team)
}

func (p Policy) program(ctx context.Context, core, team *bundle.Bundle) (*program.Program, error) {
	return admission.Within(ctx, p.work(), "to compile its rules", func(ctx context.Context) (*program.Program, error) {
		return program.Compile(ctx, core, team)
	})
}

// Checked is what a check found, and the JSON form of Check.
type Checked struct {
	OK       bool             `json:"ok"`
	Revision string           `json:"revision"`
	Rules    int              `json:"rules"`
	Tests    int              `json:"tests"`
	Inputs   int              `json:"inputs"` // that were tried
	Findings program.Findings `json:"findings"`
}

// Check does what the gateway does before it makes a policy active, and writes
// every finding with its file, its line and its cure.
func (p Policy) Check(ctx context.Context) error {
	c, err := p.Examine(ctx)
	if err != nil {
		return err
	}
	return p.found(c)
}

// Examine is Check for whoever writes the findings in a form of their own. The error is
// what kept it from its work.
func (p Policy) Examine(ctx context.Context) (Checked, error) {
	c := Checked{Findings: program.Findings{}}
	core, team, err := p.load()
	if found, ok := errors.AsType[program.Findings](err); ok {
		c.Findings = append(c.Findings, found...)
		return c, nil
	}
	if err != nil {
		return c, err
	}
	prog, r, err := admission.Check(ctx, core, team, p.checks())
	if err != nil {
		return c, err
	}
	c.Findings = append(c.Findings, r.Findings...)
	c.Rules, c.Tests, c.Inputs = len(r.Rules), len(r.Tests.Results), r.Suite.Inputs
	if r.Findings.Err() == nil {
		c.OK, c.Revision = true, prog.Revision
	}
	return c, nil
}

// found writes what a check found.
func (p Policy) found(c Checked) error {
	err := p.emit(output{value: c, results: findings(c.Findings), text: func(w io.Writer) {
		for _, f := range c.Findings {
			line(w, "%s", f)
		}
		if c.OK {
			line(w, "fine: revision %s, %d rules of teams, %d tests, %d inputs tried", c.Revision, c.Rules, c.Tests, c.Inputs)
		}
	}})
	if err == nil && !c.OK {
		return ErrFound
	}
	return err
}
