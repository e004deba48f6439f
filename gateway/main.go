// Command portcullis is the gate in front of HashiCorp Vault for agents, CI jobs
// and bots: it knows who calls, asks one policy, does the Vault operation itself
// and leaves evidence.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

// version is set by the build.
var version = "dev"

// Exit codes.
const (
	exitFailed = 1 // something went wrong
	exitUsage  = 2 // wrong usage or configuration
)

// cli is every command. A command's help ends in examples.
type cli struct {
	Serve       serveCmd       `cmd:"" help:"Run the gateway."`
	Config      configCmd      `cmd:"" help:"Look at the configuration."`
	Doctor      doctorCmd      `cmd:"" help:"Check an installation and say what to do."`
	Stdio       stdioCmd       `cmd:"" help:"Serve one MCP client on stdin and stdout."`
	Smoke       smokeCmd       `cmd:"" help:"Drive a running gateway over REST and MCP."`
	Keys        keysCmd        `cmd:"" help:"Make API keys."`
	Revoke      revokeCmd      `cmd:"" help:"Deny a subject, key, token or certificate from the next call on."`
	Policy      policyCmd      `cmd:"" help:"Work on policies."`
	Wasm        wasmCmd        `cmd:"" help:"Work on WASM transforms."`
	Audit       auditCmd       `cmd:"" help:"Verify and read evidence."`
	VaultPolicy vaultPolicyCmd `cmd:"" name:"vault-policy" help:"Print, or write to Vault, the least policy of a subject."`
	VaultSetup  vaultSetupCmd  `cmd:"" name:"vault-setup" help:"Print, or do, what Vault needs so that the gateway, and its callers, can use it."`
	Version     versionCmd     `cmd:"" help:"Print the version."`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version."`
}

// Help is the end of the program's own help.
func (cli) Help() string {
	return examples(
		"portcullis serve --config portcullis.toml",
		"portcullis config check",
		"portcullis smoke --url http://127.0.0.1:8089 --api-key dev-api-key",
	)
}

// usageError is a wrong usage or configuration.
type usageError struct{ error }

func main() {
	var c cli
	parser := kong.Must(&c, kong.Name("portcullis"),
		kong.Description("The gate in front of Vault, for agents."),
		kong.Vars{"version": "portcullis " + version}, kong.Writers(screen(), complaints()),
		kong.Exit(func(code int) {
			if code != 0 || len(os.Args) == 1 { // no command is wrong usage, whatever is printed
				code = exitUsage
			}
			os.Exit(code)
		}))
	if len(os.Args) == 1 {
		_, _ = parser.Parse([]string{"--help"}) // the parser's Exit ends the process
	}
	ctx, err := parser.Parse(os.Args[1:])
	if err != nil {
		parser.Errorf("%s", err)
		fmt.Fprintln(os.Stderr, "run portcullis --help for the commands and examples")
		os.Exit(exitUsage)
	}
	if err := ctx.Run(); err != nil {
		if _, ok := errors.AsType[foundError](err); ok {
			os.Exit(exitFailed)
		}
		fmt.Fprintf(complaints(), "portcullis: %v\n", err)
		if _, ok := errors.AsType[usageError](err); ok {
			os.Exit(exitUsage)
		}
		os.Exit(exitFailed)
	}
}

// examples formats the examples of a help text.
func examples(lines ...string) string {
	s := "Examples:\n"
	for _, l := range lines {
		s += "\n    " + l
	}
	return s
}

type versionCmd struct{}

// Help is the end of the command's help.
func (versionCmd) Help() string { return examples("portcullis version") }

// Run prints the version.
func (versionCmd) Run() error {
	_, err := fmt.Println("portcullis", version)
	return err
}
