package main

import (
	"context"
	"os"

	"portcullis/gateway/config"
	"portcullis/gateway/ops"
	"portcullis/gateway/server"
	"portcullis/gateway/transform/wasmcmd"
)

type wasmCmd struct {
	Inspect wasmInspectCmd `cmd:"" help:"Read a module without executing it: imports, exports, digest, limits, verdict."`
	Test    wasmTestCmd    `cmd:"" help:"Run the vectors of a manifest, and the checks of determinism and abuse."`
	Bench   wasmBenchCmd   `cmd:"" help:"Measure a module: time, fuel per byte, ratio to native code."`
	Plan    wasmPlanCmd    `cmd:"" help:"Print the order of a manifest, and what would be applied to a call."`
	Pin     wasmPinCmd     `cmd:"" help:"Write the digests of the modules into a manifest."`
	New     wasmNewCmd     `cmd:"" help:"Write a new module to start from."`
	Exec    wasmRunCmd     `cmd:"" name:"run" help:"Transform standard input to standard output."`
}

// Help is the end of the command's help.
func (wasmCmd) Help() string {
	return examples("portcullis wasm new --lang rust mymask", "portcullis wasm run mymask.wasm --hook log < record.json")
}

type wasmInspectCmd struct {
	File string `arg:"" help:"Module." type:"path"`
}

// Help is the end of the command's help.
func (wasmInspectCmd) Help() string { return examples("portcullis wasm inspect wasm/mask/mask.wasm") }

// Run inspects.
func (c wasmInspectCmd) Run() error { return wasmcmd.Inspect(context.Background(), screen(), c.File) }

type wasmTestCmd struct {
	Manifest string `arg:"" help:"Manifest." type:"path"`
}

// Help is the end of the command's help.
func (wasmTestCmd) Help() string { return examples("portcullis wasm test wasm/manifest.yaml") }

// Run tests. The mounts are the configuration's, which is not read here.
func (c wasmTestCmd) Run() error {
	catalogue, err := ops.New(server.Mounts(config.Default()))
	if err != nil {
		return err
	}
	known := server.Known(catalogue)
	known.Mounts = nil
	return wasmcmd.Test(context.Background(), screen(), c.Manifest, known)
}

type wasmBenchCmd struct {
	File  string `arg:"" help:"Module." type:"path"`
	Sizes []int  `help:"Sizes of the records in bytes." default:"256,1024,16384"`
}

// Help is the end of the command's help.
func (wasmBenchCmd) Help() string {
	return examples("portcullis wasm bench wasm/redact/redact.wasm --sizes 256,1024")
}

// Run measures.
func (c wasmBenchCmd) Run() error {
	return wasmcmd.Bench(context.Background(), screen(), c.File, c.Sizes...)
}

type wasmPlanCmd struct {
	Manifest    string `arg:"" help:"Manifest." type:"path"`
	Op          string `help:"Operation of the call." default:"kv.read"`
	Mount       string `help:"Mount of the call." default:"secret"`
	Subject     string `help:"Who calls." default:"agent_api"`
	Obligations string `help:"What the decision names, as its JSON list." placeholder:"JSON"`
}

// Help is the end of the command's help.
func (wasmPlanCmd) Help() string {
	return examples(
		"portcullis wasm plan wasm/manifest.yaml",
		`portcullis wasm plan wasm/manifest.yaml --op kv.read --obligations '[{"name":"mask","args":{"keys":["*"]}}]'`,
	)
}

// Run prints the plan.
func (c wasmPlanCmd) Run() error {
	return wasmcmd.Plan(context.Background(), screen(), wasmcmd.Query{
		Manifest: c.Manifest, Op: c.Op, Mount: c.Mount, Subject: c.Subject, Obligations: c.Obligations,
	})
}

type wasmPinCmd struct {
	Manifest string `arg:"" help:"Manifest to write." type:"path"`
}

// Help is the end of the command's help.
func (wasmPinCmd) Help() string { return examples("portcullis wasm pin wasm/manifest.yaml") }

// Run pins.
func (c wasmPinCmd) Run() error { return wasmcmd.Pin(screen(), c.Manifest) }

type wasmNewCmd struct {
	Dir  string `arg:"" help:"Directory to make." type:"path"`
	Lang string `help:"go or rust." enum:"go,rust" default:"rust"`
}

// Help is the end of the command's help.
func (wasmNewCmd) Help() string { return examples("portcullis wasm new --lang go mymask") }

// Run writes the module's source.
func (c wasmNewCmd) Run() error { return wasmcmd.New(screen(), c.Lang, c.Dir) }

type wasmRunCmd struct {
	File string `arg:"" help:"Module." type:"path"`
	Hook string `help:"log, request or response." enum:"log,request,response" default:"response"`

	Counters []string `help:"Names under which it may count, as counters of the manifest." placeholder:"NAME"`
}

// Help is the end of the command's help.
func (wasmRunCmd) Help() string {
	return "Default limits apply, no digest is needed. What the module logs and counts goes to standard error, as the gateway would log it.\n\n" +
		examples(`echo '{"password":"x"}' | portcullis wasm run wasm/redact/redact.wasm --hook log`)
}

// Run transforms.
func (c wasmRunCmd) Run() error {
	t := wasmcmd.Trial{File: c.File, Hook: c.Hook, Counters: c.Counters, Log: complaints()}
	return t.Run(context.Background(), os.Stdin, os.Stdout)
}
