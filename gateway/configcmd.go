package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"portcullis/gateway/config"
	"portcullis/gateway/server"
)

type configCmd struct {
	Check   configCheckCmd   `cmd:"" help:"Check the configuration and report every problem."`
	Print   configPrintCmd   `cmd:"" help:"Print what is in force, without secrets."`
	Docs    configDocsCmd    `cmd:"" help:"Print what every key means, as Markdown."`
	Example configExampleCmd `cmd:"" help:"Print a file with every key, commented out."`
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
	cfg, err := load(context.Background(), config.Source{File: c.File, WorkingDir: true})
	if err != nil {
		return err
	}
	if err := try(context.Background(), cfg); err != nil {
		return usageError{fmt.Errorf("configuration:\n%w", err)}
	}
	found, err := server.CheckVault(context.Background(), cfg)
	if err != nil {
		return usageError{fmt.Errorf("configuration:\n%w", err)}
	}
	for _, w := range slices.Concat(cfg.Warnings, server.DangersOf(cfg, found), found.All(), server.Overlaps(cfg)) {
		fmt.Fprintln(complaints(), "warning:", w)
	}
	from := "the environment"
	if cfg.File != "" {
		from += " and " + cfg.File
	}
	_, err = fmt.Fprintln(screen(), "configuration is fine:", from)
	return err
}

// load reads the configuration. When something is wrong with it, the parts are
// tried as well, so that the error lists every problem at once.
func load(ctx context.Context, s config.Source) (config.Config, error) {
	cfg, err := config.Load(s)
	if err != nil {
		return cfg, usageError{fmt.Errorf("configuration:\n%w", errors.Join(err, try(ctx, cfg)))}
	}
	return cfg, nil
}

// try wires a gateway that is thrown away, and leaves nothing behind.
func try(ctx context.Context, cfg config.Config) error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	cfg.LogDir, cfg.DecisionLog, cfg.PolicyBackup, cfg.StateDir = "-", "", "", ""
	_, err = server.New(ctx, cfg, server.Options{Stdout: io.Discard, Stderr: null, Version: version})
	return err
}

type configPrintCmd struct {
	File string `name:"config" help:"Configuration file (.toml, .yaml or .json)." type:"path" placeholder:"FILE"`
	All  bool   `help:"Also what has its default."`
}

// Help is the end of the command's help.
func (configPrintCmd) Help() string { return examples("portcullis config print --all") }

// Run prints KEY=value lines. A secret is [redacted].
func (c configPrintCmd) Run() error {
	cfg, err := config.Load(config.Source{File: c.File, WorkingDir: true, Offline: true})
	if err != nil {
		return usageError{fmt.Errorf("configuration:\n%w", err)}
	}
	keys, err := config.Keys()
	if err != nil {
		return err
	}
	for _, k := range keys {
		if v := cfg.Value(k.Name); v != k.Default || c.All {
			fmt.Printf("%s=%s\n", k.Name, v)
		}
	}
	return nil
}

type configDocsCmd struct{}

// Help is the end of the command's help.
func (configDocsCmd) Help() string { return examples("portcullis config docs > configuration.md") }

// Run prints.
func (configDocsCmd) Run() error { return write(config.Markdown()) }

type configExampleCmd struct{}

// Help is the end of the command's help.
func (configExampleCmd) Help() string {
	return examples("portcullis config example > portcullis.toml")
}

// Run prints.
func (configExampleCmd) Run() error { return write(config.ExampleFile()) }

func write(text []byte, err error) error {
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}
