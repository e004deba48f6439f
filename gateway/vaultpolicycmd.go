package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"portcullis/gateway/auth/principal"
	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
	"portcullis/gateway/vault"
	"portcullis/gateway/vaultpolicy"
)

type vaultPolicyCmd struct {
	Subject string        `arg:"" help:"Whose policy."`
	File    string        `name:"config" help:"Configuration file (.toml, .yaml or .json)." type:"path" placeholder:"FILE"`
	Tenant  string        `help:"Tenant of the subject."`
	Role    []string      `help:"Roles of the subject."`
	Prefix  string        `help:"Full path in the KV mount; the subject's own when absent."`
	Apply   bool          `help:"Write the policy to Vault, with VAULT_TOKEN, instead of printing it."`
	Token   bool          `help:"Print a token that has the policy; use it with --apply, or after it."`
	TTL     time.Duration `name:"ttl" help:"How long the token lives." default:"1h"`
}

// Help is the end of the command's help.
func (vaultPolicyCmd) Help() string {
	return "The policy follows POLICY_DIR: print and apply it again when that changes.\n\n" + examples(
		"portcullis vault-policy billing-bot",
		"portcullis vault-policy billing-bot --role reporter --apply",
		"VAULT_TOKEN=$(portcullis vault-policy billing-bot --apply --token) vault kv get secret/mcp/billing-bot/app",
	)
}

// Run prints the policy, or does with it what the flags say.
func (v vaultPolicyCmd) Run() error {
	cfg, err := config.LoadOffline(v.File)
	if err != nil {
		return usageError{fmt.Errorf("configuration:\n%w", err)}
	}
	c, err := v.caller(cfg)
	if err != nil {
		return usageError{err}
	}
	hcl, err := hclOf(cfg, c)
	if err != nil {
		return err
	}
	if !v.Apply && !v.Token {
		_, err = fmt.Print(hcl)
		return err
	}
	return v.use(cfg, vault.PolicyName(cfg.ChildTokenPolicyPrefix, c.Key()), hcl)
}

// caller is the subject as it would be authenticated.
func (v vaultPolicyCmd) caller(cfg config.Config) (*call.Caller, error) {
	c := &call.Caller{Subject: v.Subject, Tenant: v.Tenant, Roles: v.Role, Method: call.APIKey}
	var err error
	if v.Prefix != "" {
		if c.Prefix, err = call.ParsePath(v.Prefix); err != nil {
			return nil, err
		}
	}
	var base call.Path
	if cfg.DefaultPrefix != "" {
		if base, err = call.ParsePath(cfg.DefaultPrefix); err != nil {
			return nil, err
		}
	}
	return c, principal.Check(c, base)
}

func hclOf(cfg config.Config, c *call.Caller) (string, error) {
	catalogue, err := ops.New(mounts(cfg))
	if err != nil {
		return "", err
	}
	engine, err := policy.Open(policyConfig(cfg, catalogue, slog.New(slog.DiscardHandler)))
	if err != nil {
		return "", err
	}
	return vaultpolicy.Of(catalogue, engine)(c)
}

// use writes the policy and prints a token. What is for scripts goes to standard
// output, the rest to standard error.
func (v vaultPolicyCmd) use(cfg config.Config, name, hcl string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	o, err := vaultpolicy.NewOperator(cfg.VaultAddr, cfg.VaultNamespace, cfg.VaultToken)
	if err != nil {
		return usageError{err}
	}
	if v.Apply {
		if err := o.Write(ctx, name, hcl); err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "wrote the policy", name)
	}
	if !v.Token {
		return nil
	}
	token, err := o.Token(ctx, name, v.TTL)
	if err != nil {
		return err
	}
	_, err = fmt.Println(token.Reveal())
	return err
}
