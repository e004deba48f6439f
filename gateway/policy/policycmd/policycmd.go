package policycmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"portcullis/gateway/op"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/check"
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
	// Transform and Manifest are those of check.Options.
	Transform func(op, name string, args map[string]any) error
	Manifest  bool
	Out       io.Writer
	Progress  io.Writer // says what takes long; nil for nobody
}

// load reads the bundles.
func (p Policy) load() (core, team *bundle.Bundle, err error) {
	if core, err = bundle.Core(); err != nil || p.Dir == "" {
		return core, nil, err
	}
	team, err = bundle.Read(p.Dir, p.Keys)
	return core, team, err
}

// checks are what the policy is held against.
func (p Policy) checks() check.Options {
	return check.Options{Ops: p.Catalogue.All(), Transform: p.Transform, Manifest: p.Manifest, Progress: p.progress("inputs tried")}
}

// compile compiles the policy without the other checks, so that a policy that is
// being written can be asked already.
func (p Policy) compile(ctx context.Context) (*program.Program, error) {
	core, team, err := p.load()
	if err != nil {
		return nil, err
	}
	return program.Compile(ctx, core, team)
}

// Check does what the gateway does before it makes a policy active, and writes
// every finding with its file, its line and its cure.
func (p Policy) Check(ctx context.Context) error {
	core, team, err := p.load()
	if f, ok := errors.AsType[*bundle.Fault](err); ok {
		fmt.Fprintln(p.Out, check.Unreadable(f))
		return ErrFound
	}
	if err != nil {
		return err
	}
	prog, r, err := check.Policy(ctx, core, team, p.checks())
	if err != nil {
		return err
	}
	for _, f := range r.Findings {
		fmt.Fprintln(p.Out, f)
	}
	if r.Findings.Err() != nil {
		return ErrFound
	}
	_, err = fmt.Fprintf(p.Out, "fine: revision %s, %d rules of teams, %d tests, %d inputs tried\n",
		prog.Revision, len(r.Rules), len(r.Tests.Results), r.Suite.Inputs)
	return err
}
