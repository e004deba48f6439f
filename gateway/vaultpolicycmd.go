package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"portcullis/gateway/auth/principal"
	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/ops"
	"portcullis/gateway/policy"
	"portcullis/gateway/server"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vaultpolicy"
)

type vaultPolicyCmd struct {
	Subject string        `arg:"" optional:"" help:"Whose policy."`
	File    string        `name:"config" help:"Configuration file (.toml, .yaml or .json)." type:"path" placeholder:"FILE"`
	Tenant  string        `help:"Tenant of the subject."`
	Role    []string      `help:"Roles of the subject."`
	Prefix  string        `help:"Full path in the KV mount; the subject's own when absent."`
	Apply   bool          `help:"Write the policy to Vault, with VAULT_TOKEN, instead of printing it."`
	Sync    bool          `help:"Bring the policies of all subjects in step with the data, with VAULT_TOKEN; of SUBJECT alone when it is given."`
	Token   bool          `help:"Print a token that has the policy; use it with --apply, or after it."`
	TTL     time.Duration `name:"ttl" help:"How long the token lives." default:"1h"`
}

// Help is the end of the command's help.
func (vaultPolicyCmd) Help() string {
	return `The policy follows POLICY_DIR, and so does a running gateway with child tokens: it writes the policies of those who call,
one for each engine that they use ("mcp-agent-billing-bot+kv"). --sync does the same on demand, for the subjects that the
data name and for those that have a policy, and it keeps those of --apply, which are for all engines, in step. What one
credential may beyond its subject, because of its roles, is a policy of its own with one more "+" in its name; --sync
removes those, and a running gateway puts back what is needed. Policies of subjects on the deny list are removed.

` + examples(
		"portcullis vault-policy billing-bot",
		"portcullis vault-policy billing-bot --role reporter --apply",
		"VAULT_TOKEN=$(portcullis vault-policy billing-bot --apply --token) vault kv get secret/mcp/billing-bot/app",
		"portcullis vault-policy --sync",
	)
}

// Run prints the policy, or does with it what the flags say.
func (v vaultPolicyCmd) Run() error {
	if err := v.check(); err != nil {
		return usageError{err}
	}
	cfg, err := config.Load(config.Source{File: v.File, Offline: true})
	if err != nil {
		return usageError{fmt.Errorf("configuration:\n%w", err)}
	}
	if v.Sync {
		return v.sync(cfg)
	}
	c, err := v.caller(cfg)
	if err != nil {
		return usageError{err}
	}
	rights, err := rightsBy(cfg)
	if err != nil {
		return err
	}
	if !v.Apply && !v.Token {
		_, err = fmt.Print(rights.of.All(c).HCL())
		return err
	}
	p, err := server.CallerPolicies(rights.of, server.BasePrefix(cfg))(c, "")
	if err != nil {
		return err
	}
	return v.use(cfg, p.Texts(callers.PolicyName(cfg.ChildTokenPolicyPrefix, c.Key())))
}

func (v vaultPolicyCmd) check() error {
	switch {
	case v.Sync && (v.Apply || v.Token || len(v.Role) > 0 || v.Prefix != ""):
		return errors.New("--sync goes with no other flag than --tenant and --config")
	case v.Sync && v.Tenant != "" && v.Subject == "", !v.Sync && v.Subject == "":
		return errors.New("name the SUBJECT, or use --sync for all")
	}
	return nil
}

// caller is the subject as it would be authenticated.
func (v vaultPolicyCmd) caller(cfg config.Config) (*call.Caller, error) {
	c := &call.Caller{Subject: v.Subject, Tenant: v.Tenant, Roles: v.Role, Method: call.APIKey}
	if _, err := call.ParseSubject(v.Subject); err != nil {
		c.Subject, c.RawSubject = principal.Segment(v.Subject), v.Subject // as the issuer says it
	}
	var err error
	if v.Prefix != "" {
		if c.Prefix, err = call.ParsePlain(v.Prefix); err != nil {
			return nil, err
		}
	}
	return c, principal.Check(c, server.BasePrefix(cfg))
}

// rights are those of any caller, and what they are made from.
type rights struct {
	of      vaultpolicy.Rights
	data    *policy.Engine
	engines []string
}

// rightsBy are the rights by a configuration.
func rightsBy(cfg config.Config) (r rights, err error) {
	for _, m := range cfg.More["kv"] {
		if m.Version == 0 {
			return r, usageError{fmt.Errorf("MOUNTS: give the version of the KV mount %s, 1 or 2, on which its paths in Vault depend: only a running gateway asks Vault", m.Path)}
		}
	}
	catalogue, err := ops.New(server.Mounts(cfg))
	if err != nil {
		return r, err
	}
	engine, err := policy.Open(server.PolicyConfig(cfg, catalogue, slog.New(slog.DiscardHandler)))
	if err != nil {
		return r, err
	}
	return rights{vaultpolicy.Of(catalogue, engine), engine, catalogue.Engines()}, nil
}

// use writes the policies and prints a token. What is for scripts goes to standard
// output, the rest to standard error.
func (v vaultPolicyCmd) use(cfg config.Config, texts map[string]string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	o, err := vaultpolicy.NewOperator(cfg.VaultAddr, cfg.VaultNamespace, cfg.VaultToken)
	if err != nil {
		return usageError{err}
	}
	names := slices.Sorted(maps.Keys(texts))
	for _, name := range names {
		if !v.Apply {
			break
		}
		if err := o.Write(ctx, name, texts[name]); err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "wrote the policy", name)
	}
	if !v.Token {
		return nil
	}
	token, err := o.Token(ctx, v.Subject, names, v.TTL)
	if err != nil {
		return err
	}
	_, err = fmt.Println(token.Reveal())
	return err
}
