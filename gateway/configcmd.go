package main

import (
	"context"
	"fmt"
	"os"

	"portcullis/gateway/config"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Check the configuration and report every problem."`
}

// Help is the end of the command's help.
func (configCmd) Help() string { return examples("portcullis config check --config portcullis.toml") }

type configCheckCmd struct {
	File string `name:"config" help:"Configuration file (.toml, .yaml or .json)." type:"path" placeholder:"FILE"`
}

// Help is the end of the command's help.
func (configCheckCmd) Help() string {
	return examples("portcullis config check", "portcullis config check --config portcullis.toml")
}

// Run reports whether serve would accept the configuration.
func (c configCheckCmd) Run() error {
	cfg, err := config.Load(c.File)
	if err == nil {
		cfg.LogDir, cfg.DecisionLog, cfg.LogLevel = "-", "", "error" // a check leaves nothing behind
		_, err = wire(context.Background(), cfg)
	}
	if err != nil {
		return usageError{fmt.Errorf("configuration:\n%w", err)}
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	_, err = fmt.Println("configuration is fine")
	return err
}
