package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"portcullis/gateway/config"
	"portcullis/gateway/server"
	"portcullis/gateway/vaultpolicy"
)

type vaultSetupCmd struct {
	File    string `name:"config" help:"Configuration file (.toml, .yaml or .json)." type:"path" placeholder:"FILE"`
	Callers string `help:"How callers get their Vault tokens: jwt for a login of each on the gateway's word, child for a child of the gateway's token, gateway for that token itself." enum:"jwt,child,gateway" default:"jwt"`
	Print   string `help:"Print what Vault is to be told: hcl, cli or terraform." placeholder:"FORM"`
	Apply   bool   `help:"Tell Vault, with VAULT_TOKEN."`
}

// Help is the end of the command's help.
func (vaultSetupCmd) Help() string {
	return `Sets up the auth method, the roles and the policies that a value of VAULT_CALLERS needs. It can be done before the gateway
runs, and again when the data of the policy change. What callers may follows from their own prefixes and these data.

jwt: Vault is told the public keys of OIDC_ISSUER_KEY_FILE, or, without that file, fetches them from OIDC_ISSUER. The
gateway itself may read no secret. child: an AppRole that may write the policies of callers and make their tokens, and reads
no secret itself. gateway: an AppRole that may whatever any caller may. What a fence leaves out of what the data
grant, or opens to more callers than they do, is said. How to fetch the ids of the AppRole is said at the
end of --print cli and after --apply.

` + examples(
		"portcullis vault-setup --callers jwt --print cli",
		"OIDC_ISSUER=https://gateway.example.com VAULT_TOKEN=... portcullis vault-setup --callers jwt --apply",
		"portcullis vault-setup --callers child --print terraform",
	)
}

// Run prints or applies the set-up.
func (v vaultSetupCmd) Run() error {
	if (v.Print == "") == !v.Apply {
		return usageError{errors.New("give --print FORM, or --apply")}
	}
	cfg, err := config.Load(config.Source{File: v.File, Offline: true})
	if err != nil {
		return usageError{fmt.Errorf("configuration:\n%w", err)}
	}
	rights, err := rightsBy(cfg)
	if err != nil {
		return err
	}
	plan, err := server.VaultSetup(cfg, v.Callers, rights.of, rights.data)
	if err != nil {
		return usageError{err}
	}
	if v.Apply {
		return v.apply(cfg, plan)
	}
	text, err := plan.Print(v.Print)
	if err != nil {
		return usageError{err}
	}
	_, err = fmt.Print(text)
	return err
}

func (v vaultSetupCmd) apply(cfg config.Config, p vaultpolicy.Plan) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	o, err := vaultpolicy.NewOperator(cfg.VaultAddr, cfg.VaultNamespace, cfg.VaultToken)
	if err != nil {
		return usageError{err}
	}
	if err := o.SetUp(ctx, p); err != nil {
		return err
	}
	for _, line := range p.Notes {
		fmt.Fprintln(complaints(), line)
	}
	for _, line := range p.After {
		fmt.Println(line)
	}
	return nil
}
