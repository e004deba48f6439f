//go:build minimal

// Command vaultcli is HashiCorp's vault command, of the version that the dev Vault has, for
// tests of the gateway's Vault API. With the tag minimal it has no more storage backends and
// plugins than the dev Vault, so that both share what is compiled.
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() { os.Exit(command.Run(os.Args[1:])) }
