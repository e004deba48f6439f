package main

import (
	"context"

	"portcullis/gateway/policy/policycmd"
)

type policyNewCmd struct {
	Dir  string `arg:"" help:"Directory to write into."`
	Team string `required:"" help:"Name of the team, as its package will have it." placeholder:"T"`
	formatFlags
}

// Help is the end of the command's help.
func (policyNewCmd) Help() string {
	return "What is written passes policy check and policy test. Files that are there are left alone.\n\n" +
		examples("portcullis policy new my-policy --team payments")
}

// Run writes.
func (c policyNewCmd) Run() error {
	return policyFlags{formatFlags: c.formatFlags, keyFlags: keyFlags{Algorithm: "ES256"}}.run(func(_ context.Context, p policycmd.Policy) error {
		return p.New(c.Dir, c.Team)
	})
}

type policyFmtCmd struct {
	policyFlags
	Check bool `help:"Change nothing; exit with 1 when a file is formatted otherwise."`
}

// Help is the end of the command's help.
func (policyFmtCmd) Help() string {
	return examples("portcullis policy fmt my-policy", "portcullis policy fmt my-policy --check")
}

// Run formats.
func (c policyFmtCmd) Run() error {
	return c.run(func(_ context.Context, p policycmd.Policy) error { return p.Fmt(c.Check) })
}

type policyRulesCmd struct{ policyFlags }

// Help is the end of the command's help.
func (policyRulesCmd) Help() string { return examples("portcullis policy rules my-policy --json") }

// Run lists.
func (c policyRulesCmd) Run() error {
	return c.run(func(ctx context.Context, p policycmd.Policy) error { return p.Rules(ctx) })
}

type policySchemaCmd struct {
	Of string `arg:"" enum:"input,data" help:"input or data."`
	formatFlags
}

// Help is the end of the command's help.
func (policySchemaCmd) Help() string {
	return "An editor checks data.yaml against it with the line: # yaml-language-server: $schema=data.schema.json\n\n" +
		examples("portcullis policy schema data >data.schema.json")
}

// Run prints.
func (c policySchemaCmd) Run() error {
	return policyFlags{formatFlags: c.formatFlags, keyFlags: keyFlags{Algorithm: "ES256"}}.run(func(_ context.Context, p policycmd.Policy) error {
		return p.Schema(c.Of)
	})
}
