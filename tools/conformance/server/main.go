// Command conformance-server is what the official MCP conformance suite is pointed
// at: the gateway as it ships, on the Vault at VAULT_ADDR or a dev Vault that it starts itself, with the suite's
// fixtures as one more provider of tools, resources and prompts. Authentication,
// policy, limits and evidence are the gateway's own, and its configuration comes from
// the environment.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"portcullis/gateway/config"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/events"
	"portcullis/gateway/mcp"
	"portcullis/gateway/server"
	"portcullis/tools/conformance/fixtures"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "conformance-server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // best effort: a temporary directory
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if os.Getenv("VAULT_ADDR") == "" {
		vault, err := stack.StartVault(ctx, filepath.Dir(filepath.Dir(self)), dir)
		if err != nil {
			return err
		}
		defer func() { _ = vault.Stop() }() // it ends with this process at the latest
		if err := errors.Join(os.Setenv("VAULT_ADDR", vault.Addr), os.Setenv("VAULT_TOKEN", vault.Token)); err != nil {
			return err
		}
	}
	for key, value := range map[string]string{"SHUTDOWN_DELAY": "0s", "LOG_DIR": dir, "AUDIT_FILE": filepath.Join(dir, "audit.jsonl")} {
		if err := os.Setenv(key, value); err != nil {
			return err
		}
	}
	c, err := config.Load(config.Source{})
	if err != nil {
		return err
	}
	g, err := server.New(ctx, c, server.Options{
		Stdout: os.Stdout, Stderr: os.Stderr, Version: "conformance",
		Providers: func(log *events.Log) []mcp.Provider { return []mcp.Provider{fixtures.New(log)} },
	})
	if err != nil {
		return err
	}
	return g.Serve(ctx)
}
