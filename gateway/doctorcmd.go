package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"portcullis/gateway/config"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy/policycmd"
	"portcullis/gateway/server"
)

type doctorCmd struct {
	File string `name:"config" help:"Configuration file (.toml, .yaml or .json)." type:"path" placeholder:"FILE"`
	JSON bool   `name:"json" help:"Print the findings as JSON."`
}

// Help is the end of the command's help.
func (doctorCmd) Help() string {
	return "Checks the configuration, the policy, Vault, its token roles, clocks, certificates, rights of files, audit sinks and the running gateway, " +
		"and prints what to do. It changes nothing. The exit code is 0 when no check has failed, warnings or not; 1 when one has; 2 for wrong usage.\n\n" +
		examples("portcullis doctor", "portcullis doctor --config portcullis.toml --json")
}

// Run checks and prints.
func (d doctorCmd) Run() error {
	ctx := context.Background()
	found := []server.Finding{}
	cfg, err := config.Load(config.Source{File: d.File, WorkingDir: true})
	found = append(found, problems("configuration", err, "correct the setting that is named; portcullis config docs explains it")...)
	if err == nil {
		for _, w := range cfg.Warnings {
			found = append(found, server.Finding{Check: "configuration", State: "warning", Detail: w})
		}
		policy := policyFindings(ctx, cfg)
		found = append(found, policy...)
		if !slices.ContainsFunc(policy, failed) { // which would be said again
			found = append(found, problems("policy, keys and modules", try(ctx, cfg), "correct what is named")...)
		}
		found = append(found, server.Doctor(ctx, cfg)...)
	}
	if err := d.print(found); err != nil {
		return err
	}
	if slices.ContainsFunc(found, failed) {
		return foundError{errors.New("a check has failed")}
	}
	return nil
}

func failed(f server.Finding) bool { return f.State == "failed" }

// policyFindings are what portcullis policy check finds in the policy of a configuration.
func policyFindings(ctx context.Context, cfg config.Config) (out []server.Finding) {
	if cfg.PolicyURL != "" {
		return nil // the gateway has it: see its /readyz
	}
	c, err := examine(ctx, cfg)
	if err != nil {
		return problems("policy", err, "correct what is named")
	}
	for _, f := range c.Findings {
		state := "failed"
		if f.Warning {
			state = "warning"
		}
		place := f.File
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d", place, f.Line)
		}
		out = append(out, server.Finding{Check: "policy", State: state, Detail: fmt.Sprintf("%s: %s [%s]", place, f.Msg, f.Check), Do: f.Cure})
	}
	if c.OK {
		out = append(out, server.Finding{Check: "policy", State: "ok", Detail: fmt.Sprintf("revision %s, %d rules of teams, %d tests", c.Revision, c.Rules, c.Tests)})
	}
	return out
}

// examine checks the policy of a configuration as portcullis policy check does.
func examine(ctx context.Context, cfg config.Config) (c policycmd.Checked, err error) {
	keys, err := server.PolicyKeys(cfg.PolicyKeyID, cfg.PolicyKeyFile, cfg.PolicyKeyAlg)
	if err != nil {
		return c, err
	}
	catalogue, err := ops.New(server.Mounts(cfg))
	if err != nil {
		return c, err
	}
	p, err := manifestFlag{cfg.WASMManifest}.know(policycmd.Policy{Dir: cfg.PolicyDir, Keys: keys, Catalogue: catalogue})
	if err != nil {
		return c, err
	}
	return p.Examine(ctx)
}

// problems are the lines of a joined error, or that there is none.
func problems(check string, err error, do string) (out []server.Finding) {
	if err == nil {
		return []server.Finding{{Check: check, State: "ok", Detail: "fine"}}
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		out = append(out, server.Finding{Check: check, State: "failed", Detail: line, Do: do})
	}
	return out
}

func (d doctorCmd) print(found []server.Finding) error {
	if d.JSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"findings": found})
	}
	for _, f := range found {
		fmt.Fprintf(screen(), "%-8s %s: %s\n", f.State, f.Check, f.Detail)
		if f.Do != "" && f.State != "ok" {
			fmt.Fprintf(screen(), "         -> %s\n", f.Do)
		}
	}
	return nil
}
