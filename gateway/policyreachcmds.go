package main

import (
	"context"
	"errors"
	"os"

	"portcullis/gateway/policy/policycmd"
	"portcullis/gateway/policy/reach"
)

type policyReachCmd struct {
	policyFlags
	Path string `help:"Only what is about this path, key or role." placeholder:"P"`
	Op   string `help:"Only this operation." placeholder:"O"`
	Who  string `help:"Only this subject or role." placeholder:"S"`
}

// Help is the end of the command's help.
func (policyReachCmd) Help() string {
	return "The answer is an upper bound: no call outside of it can be allowed, and scopes and rules of teams can deny what is in it.\n\n" +
		examples("portcullis policy reach my-policy --path shared/banners", "portcullis policy reach my-policy --who agent_api --json")
}

// Run lists.
func (c policyReachCmd) Run() error {
	return c.run(func(ctx context.Context, p policycmd.Policy) error {
		return p.Reach(ctx, reach.Filter{Path: c.Path, Op: c.Op, Who: c.Who})
	})
}

type policyDiffCmd struct {
	Old string `arg:"" help:"The policy as it was: a directory, a file or a signed archive."`
	New string `arg:"" help:"The policy as it would be."`
	keyFlags
	formatFlags
}

// Help is the end of the command's help.
func (policyDiffCmd) Help() string {
	return "Exits with 0 when nothing widens, with 1 when something does (a grant, or a rule or duty that is gone), with 2 when a policy is missing or cannot be read.\n\n" +
		examples("portcullis policy diff released my-policy", "portcullis policy diff released my-policy --sarif")
}

// Run compares.
func (c policyDiffCmd) Run() error {
	flags := policyFlags{Dir: c.New, keyFlags: c.keyFlags, formatFlags: c.formatFlags}
	return flags.run(func(ctx context.Context, p policycmd.Policy) error {
		old := p
		old.Dir = c.Old
		return p.Diff(ctx, old)
	})
}

// logArg names a decision log.
type logArg struct {
	Decisions string `arg:"" optional:"" help:"Decision log (DECISION_LOG)." type:"existingfile"`
}

// on does something with the policy and the decision log.
func (a logArg) on(f policyFlags, do func(context.Context, policycmd.Policy, *os.File) error) error {
	if a.Decisions == "" { // the parser takes nothing required behind the policy, which has a default
		return usageError{errors.New("name the decision log")}
	}
	log, err := os.Open(a.Decisions)
	if err != nil {
		return usageError{err}
	}
	defer func() { _ = log.Close() }()
	return f.run(func(ctx context.Context, p policycmd.Policy) error {
		if f.Dir == "" {
			return errors.New("name the policy whose grants are looked at")
		}
		return do(ctx, p, log)
	})
}

type policyTightenCmd struct {
	policyFlags
	logArg
	Out string `required:"" help:"New directory for the policy." type:"path" placeholder:"DIR"`
}

// Help is the end of the command's help.
func (policyTightenCmd) Help() string {
	return "Every recorded call that is allowed stays allowed.\n\n" + examples("portcullis policy tighten my-policy decisions.jsonl --out tighter")
}

// Run tightens.
func (c policyTightenCmd) Run() error {
	return c.on(c.policyFlags, func(ctx context.Context, p policycmd.Policy, log *os.File) error {
		return p.Tighten(ctx, log, c.Out)
	})
}

type policyCoverageCmd struct {
	policyFlags
	logArg
}

// Help is the end of the command's help.
func (policyCoverageCmd) Help() string {
	return examples("portcullis policy coverage my-policy decisions.jsonl")
}

// Run looks.
func (c policyCoverageCmd) Run() error {
	return c.on(c.policyFlags, func(ctx context.Context, p policycmd.Policy, log *os.File) error {
		return p.Coverage(ctx, log)
	})
}
