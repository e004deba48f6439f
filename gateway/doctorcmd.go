package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"portcullis/gateway/config"
	"portcullis/gateway/server"
)

type doctorCmd struct {
	File string `name:"config" help:"Configuration file (.toml, .yaml or .json)." type:"path" placeholder:"FILE"`
	JSON bool   `name:"json" help:"Print the findings as JSON."`
}

// Help is the end of the command's help.
func (doctorCmd) Help() string {
	return "Checks the configuration, the policy, Vault, its token roles, clocks, certificates, rights of files, audit sinks and the running gateway, " +
		"and prints what to do. It changes nothing. The exit code is 1 when a check has failed.\n\n" +
		examples("portcullis doctor", "portcullis doctor --config portcullis.toml --json")
}

// Run checks and prints.
func (d doctorCmd) Run() error {
	ctx := context.Background()
	found := []server.Finding{}
	cfg, err := config.Load(config.Source{File: d.File, WorkingDir: true})
	found = append(found, problems("configuration", err, "correct the setting that is named; portcullis config docs explains it")...)
	if err == nil {
		found = append(found, problems("policy, keys and modules", try(ctx, cfg), "correct what is named; portcullis policy check explains findings of the policy")...)
		for _, w := range cfg.Warnings {
			found = append(found, server.Finding{Check: "configuration", State: "warning", Detail: w})
		}
		found = append(found, server.Doctor(ctx, cfg)...)
	}
	if err := d.print(found); err != nil {
		return err
	}
	for _, f := range found {
		if f.State == "failed" {
			return foundError{errors.New("a check has failed")}
		}
	}
	return nil
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
		fmt.Printf("%-8s %s: %s\n", f.State, f.Check, f.Detail)
		if f.Do != "" && f.State != "ok" {
			fmt.Printf("         -> %s\n", f.Do)
		}
	}
	return nil
}
