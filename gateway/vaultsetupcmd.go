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
	Callers string `help:"How callers get their Vault tokens: jwt for a login of each on the gateway's word." enum:"jwt" default:"jwt"`
	Print   string `help:"Print what Vault is to be told: hcl, cli or terraform." placeholder:"FORM"`
	Apply   bool   `help:"Tell Vault, with VAULT_TOKEN."`
}

// Help is the end of the command's help.
func (vaultSetupCmd) Help() string {
	return `Sets up the JWT auth method, the roles and the policies that VAULT_CALLERS=jwt needs. It can be done before the gateway
runs: Vault is told the public keys of OIDC_ISSUER_KEY_FILE, or, without that file, fetches them from OIDC_ISSUER. Callers
may in Vault what their own prefix and the data of the policy allow; the gateway itself may read no secret.

` + examples(
		"portcullis vault-setup --callers jwt --print cli",
		"OIDC_ISSUER=https://gateway.example.com VAULT_TOKEN=... portcullis vault-setup --callers jwt --apply",
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
	rules, engine, err := rulesOf(cfg)
	if err != nil {
		return err
	}
	s, err := server.VaultSetup(cfg, rules, engine.Subjects())
	if err != nil {
		return usageError{err}
	}
	if v.Apply {
		return v.apply(cfg, s)
	}
	text, err := s.Print(v.Print)
	if err != nil {
		return usageError{err}
	}
	_, err = fmt.Print(text)
	return err
}

func (v vaultSetupCmd) apply(cfg config.Config, s vaultpolicy.Setup) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	o, err := vaultpolicy.NewOperator(cfg.VaultAddr, cfg.VaultNamespace, cfg.VaultToken)
	if err != nil {
		return usageError{err}
	}
	return o.SetUp(ctx, s)
}
