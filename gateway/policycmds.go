package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"portcullis/gateway/config"
	"portcullis/gateway/files"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy/policycmd"
	"portcullis/gateway/server"
	"portcullis/gateway/transform"
)

type policyCmd struct {
	Check   policyCheckCmd   `cmd:"" help:"Check a policy as the gateway does before it makes one active."`
	Test    policyTestCmd    `cmd:"" help:"Run a policy's tests, or the suite that tries to make it fail open."`
	Eval    policyEvalCmd    `cmd:"" help:"Print a policy's answer to a call."`
	Explain policyExplainCmd `cmd:"" help:"Say why a call is answered as it is, and what would allow it."`
	Replay  policyReplayCmd  `cmd:"" help:"Decide recorded calls once more and print those that flip."`
	Bench   policyBenchCmd   `cmd:"" help:"Measure decisions."`
	Build   policyBuildCmd   `cmd:"" help:"Write a policy as a signed archive."`
	Inspect policyInspectCmd `cmd:"" help:"Print what a policy reads, its rules and its tiers."`

	Reach    policyReachCmd    `cmd:"" help:"Print who can do what, at the most."`
	Diff     policyDiffCmd     `cmd:"" help:"Say what a change of a policy lets through or holds back."`
	Tighten  policyTightenCmd  `cmd:"" help:"Write a policy with the grants alone that recorded calls used."`
	Coverage policyCoverageCmd `cmd:"" help:"Print the grants and rules that no recorded call used."`
	New      policyNewCmd      `cmd:"" help:"Write a first rule of a team, with its tests."`
	Fmt      policyFmtCmd      `cmd:"" help:"Format the Rego of a policy."`
	Rules    policyRulesCmd    `cmd:"" help:"List the rules of a policy, with titles, owners and tests."`
	Schema   policySchemaCmd   `cmd:"" help:"Print the JSON schema of the input or of the data, for editors."`
}

// Help is the end of the command's help.
func (policyCmd) Help() string {
	return "A policy is named as POLICY_DIR names it: a directory, a file or a signed archive.\n\n" + examples(
		"portcullis policy check my-policy",
		"portcullis policy explain my-policy call.json",
		"portcullis policy replay my-policy decisions.jsonl",
	)
}

// policyFlags name the policy that a command is about, and how it answers.
type policyFlags struct {
	Dir string `arg:"" optional:"" env:"POLICY_DIR" help:"Directory, file or signed archive; the embedded policy alone when absent."`
	keyFlags
	formatFlags
}

// formatFlags say in which form a command answers.
type formatFlags struct {
	JSON  bool `name:"json" xor:"format" help:"Answer in JSON."`
	SARIF bool `name:"sarif" xor:"format" help:"Answer in SARIF 2.1.0, as code scanning reads it."`
}

func (f formatFlags) format() policycmd.Format {
	switch {
	case f.JSON:
		return policycmd.JSON
	case f.SARIF:
		return policycmd.SARIF
	}
	return policycmd.Text
}

// keyFlags name the key of signed archives.
type keyFlags struct {
	KeyID     string `env:"POLICY_KEY_ID" help:"Key id that a signed archive must name." placeholder:"ID"`
	KeyFile   string `env:"POLICY_KEY_FILE" help:"PEM file of the key." type:"path" placeholder:"FILE"`
	Algorithm string `env:"POLICY_KEY_ALGORITHM" help:"ES256, EdDSA or RS256." enum:"ES256,EdDSA,RS256" default:"ES256"`
}

func (f policyFlags) policy() (policycmd.Policy, error) {
	keys, err := server.PolicyKeys(f.KeyID, f.KeyFile, f.Algorithm)
	if err != nil {
		return policycmd.Policy{}, usageError{err}
	}
	catalogue, err := ops.New(server.Mounts(config.Default()))
	p := policycmd.Policy{Dir: f.Dir, Keys: keys, Catalogue: catalogue, Format: f.format(), Out: os.Stdout, Progress: os.Stderr}
	if p.Format == policycmd.Text {
		p.Out = screen()
	}
	return p, err
}

// manifestFlag names the operator's modules, which a policy may ask for.
type manifestFlag struct {
	WASMManifest string `name:"wasm-manifest" env:"WASM_MANIFEST" help:"Manifest of the modules that the policy may ask for." type:"path" placeholder:"FILE"`
}

// know tells the policy which transforms there are.
func (f manifestFlag) know(p policycmd.Policy) (policycmd.Policy, error) {
	listed, err := transform.Listed(f.WASMManifest)
	if err != nil {
		return p, usageError{err}
	}
	p.Transform, p.Manifest = listed.Nameable, f.WASMManifest != ""
	return p, nil
}

// question is the file of the question. When one file alone is named, and it can be no
// policy, it is the question, and the policy is that of the environment.
func (f *policyFlags) question(input string) string {
	if input != "-" || filepath.Ext(f.Dir) != ".json" || filepath.Base(f.Dir) == "data.json" {
		return input
	}
	input, f.Dir = f.Dir, os.Getenv("POLICY_DIR")
	return input
}

// run does something with the policy. What was found has been printed, and ends the
// command with 1; what cannot be read ends it with 2.
func (f policyFlags) run(do func(context.Context, policycmd.Policy) error) error {
	p, err := f.policy()
	if err != nil {
		return err
	}
	server.TuneGC() // as in the gateway
	err = do(context.Background(), p)
	return exitOf(errors.Join(err, p.Refused(err)))
}

// exitOf tells a finding from what keeps a command from its work.
func exitOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, policycmd.ErrFound):
		return foundError{err}
	}
	return usageError{err}
}

// foundError ends a command with exit code 1 and no further word.
type foundError struct{ error }

// readInput reads a file, or standard input for "-".
func readInput(file string) ([]byte, error) {
	raw, err := files.Input(file)
	if err != nil {
		return nil, usageError{err}
	}
	return raw, nil
}

type policyCheckCmd struct {
	policyFlags
	manifestFlag
}

// Help is the end of the command's help.
func (policyCheckCmd) Help() string { return examples("portcullis policy check my-policy") }

// Run checks.
func (c policyCheckCmd) Run() error {
	return c.run(func(ctx context.Context, p policycmd.Policy) error {
		p, err := c.know(p)
		if err != nil {
			return err
		}
		return p.Check(ctx)
	})
}

type policyTestCmd struct {
	policyFlags
	Filter      string  `name:"run" help:"Regular expression of tests to run." placeholder:"RE"`
	Coverage    bool    `help:"Print what tests cover of each file."`
	Threshold   float64 `help:"Per cent of lines that tests must cover, 0 to 100." placeholder:"N"`
	JUnit       string  `name:"junit" help:"File for a report in JUnit's form." type:"path" placeholder:"FILE"`
	Conformance bool    `help:"Run the whole fail-closed suite, pairs of fields included."`
}

// Help is the end of the command's help.
func (policyTestCmd) Help() string {
	return examples("portcullis policy test my-policy --threshold 90", "portcullis policy test my-policy --conformance")
}

// Run tests.
func (c policyTestCmd) Run() error {
	o := policycmd.TestOptions{Run: c.Filter, Coverage: c.Coverage, Threshold: c.Threshold, Conformance: c.Conformance}
	if _, err := regexp.Compile(c.Filter); err != nil {
		return usageError{fmt.Errorf("--run: %w", err)}
	}
	if !(c.Threshold >= 0 && c.Threshold <= 100) {
		return usageError{errors.New("--threshold is a number from 0 to 100")}
	}
	var report bytes.Buffer
	if c.JUnit != "" {
		o.JUnit = &report
	}
	err := c.run(func(ctx context.Context, p policycmd.Policy) error { return p.Test(ctx, o) })
	if report.Len() == 0 { // nothing ran
		return err
	}
	if werr := os.WriteFile(c.JUnit, report.Bytes(), 0o644); werr != nil {
		return werr
	}
	return err
}

type policyEvalCmd struct {
	policyFlags
	Input string `arg:"" optional:"" default:"-" help:"File with the input document, - for standard input."`
}

// Help is the end of the command's help.
func (policyEvalCmd) Help() string { return examples("portcullis policy eval my-policy call.json") }

// Run evaluates.
func (c policyEvalCmd) Run() error {
	c.Input = c.question(c.Input)
	input, err := readInput(c.Input)
	if err != nil {
		return err
	}
	return c.run(func(ctx context.Context, p policycmd.Policy) error { return p.Eval(ctx, input) })
}

type policyExplainCmd struct {
	policyFlags
	Input string `arg:"" optional:"" default:"-" help:"File with the input document, - for standard input."`
	Log   string `help:"Decision log to take the input from." type:"existingfile" placeholder:"FILE"`
	ID    string `help:"Decision in the log." placeholder:"ID"`
	Trace bool   `help:"Print every step that did not hold."`
}

// Help is the end of the command's help.
func (policyExplainCmd) Help() string {
	return examples(
		"portcullis policy explain my-policy call.json",
		"portcullis policy explain my-policy --log decisions.jsonl --id 01m85rbsetpg58s7045bm5qtec",
	)
}

// Run explains.
func (c policyExplainCmd) Run() error {
	c.Input = c.question(c.Input)
	input, err := c.input()
	if err != nil {
		return err
	}
	return c.run(func(ctx context.Context, p policycmd.Policy) error { return p.Explain(ctx, input, c.Trace) })
}

func (c policyExplainCmd) input() ([]byte, error) {
	if c.Log == "" {
		return readInput(c.Input)
	}
	if c.ID == "" {
		return nil, usageError{errors.New("--log needs --id, the decision to explain")}
	}
	f, err := os.Open(c.Log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	line, err := policycmd.Find(f, c.ID)
	return line, exitOf(err)
}

type policyReplayCmd struct {
	policyFlags
	Decisions string `arg:"" optional:"" help:"Decision log (DECISION_LOG), as --log." type:"existingfile"`
	Log       string `help:"Decision log (DECISION_LOG)." type:"existingfile" placeholder:"FILE"`
}

// Help is the end of the command's help.
func (policyReplayCmd) Help() string {
	return "Exits with 1 when a call flips.\n\n" + examples("portcullis policy replay my-policy decisions.jsonl")
}

// Run replays.
func (c policyReplayCmd) Run() error {
	log := cmp.Or(c.Log, c.Decisions)
	if log == "" {
		return usageError{errors.New("name the decision log")}
	}
	f, err := os.Open(log)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return c.run(func(ctx context.Context, p policycmd.Policy) error {
		_, err := p.Replay(ctx, f)
		return err
	})
}

type policyBenchCmd struct {
	formatFlags
	Rounds int           `help:"How often each case is measured; the best counts." default:"60"`
	Round  time.Duration `help:"How long once is." default:"25ms"`
}

// Help is the end of the command's help.
func (policyBenchCmd) Help() string {
	return "What is measured is the embedded policy with data of its own.\n\n" + examples("portcullis policy bench")
}

// Run measures.
func (c policyBenchCmd) Run() error {
	dir, err := os.MkdirTemp("", "policy-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return policyFlags{formatFlags: c.formatFlags, keyFlags: keyFlags{Algorithm: "ES256"}}.run(func(ctx context.Context, p policycmd.Policy) error {
		return p.Bench(ctx, dir, c.Rounds, c.Round)
	})
}

type policyBuildCmd struct {
	policyFlags
	manifestFlag
	Out      string `required:"" help:"Archive to write." type:"path" placeholder:"FILE"`
	Sign     bool   `required:"" help:"Sign it with --key-file, the private key; an archive is never written unsigned."`
	Sequence int64  `help:"Must grow with every archive; the time when absent."`
}

// Help is the end of the command's help.
func (policyBuildCmd) Help() string {
	return examples("portcullis policy build my-policy --sign --key-id release --key-file release.pem --out policy.tar.gz")
}

// Run builds.
func (c policyBuildCmd) Run() error {
	keys, err := server.PolicyKeys(c.KeyID, c.KeyFile, c.Algorithm)
	if err != nil || len(keys) == 0 {
		return usageError{cmp.Or(err, errors.New("give --key-id and --key-file"))}
	}
	f, err := os.CreateTemp("", "policy-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	o := policycmd.BuildOptions{KeyID: c.KeyID, Key: keys[c.KeyID], Sequence: c.Sequence}
	if o.Sequence == 0 {
		o.Sequence = time.Now().Unix()
	}
	source := policyFlags{Dir: c.Dir, keyFlags: keyFlags{Algorithm: c.Algorithm}, formatFlags: c.formatFlags}
	err = source.run(func(ctx context.Context, p policycmd.Policy) error {
		p, err := c.know(p)
		if err != nil {
			return err
		}
		return p.Build(ctx, f, o)
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	raw, err := files.Read(f.Name())
	if err != nil {
		return err
	}
	return os.WriteFile(c.Out, raw, 0o600)
}

type policyInspectCmd struct{ policyFlags }

// Help is the end of the command's help.
func (policyInspectCmd) Help() string { return examples("portcullis policy inspect my-policy") }

// Run inspects.
func (c policyInspectCmd) Run() error {
	return c.run(func(ctx context.Context, p policycmd.Policy) error { return p.Inspect(ctx) })
}
