package vaultpolicy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"portcullis/gateway/call"
)

// Operator is a person at a terminal who brings a Vault token of their own. It is
// for commands; calls of agents never come here.
type Operator struct{ vault *api.Client }

// NewOperator makes an operator. Beside address, namespace and token, Vault's own
// environment variables hold (VAULT_CACERT and its like).
func NewOperator(addr, namespace string, token call.Secret) (*Operator, error) {
	if token == "" {
		return nil, errors.New("VAULT_TOKEN is not set: give the token of somebody who may write policies")
	}
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return nil, cfg.Error
	}
	cfg.Address, cfg.MaxRetries = addr, 0
	c, err := api.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("make the Vault client: %w", err)
	}
	c.SetToken(token.Reveal())
	c.ClearNamespace()
	if namespace != "" {
		c.SetNamespace(namespace)
	}
	return &Operator{c}, nil
}

// Write writes a policy (sys/policies/acl, Vault API).
func (o *Operator) Write(ctx context.Context, name, hcl string) error {
	if err := o.vault.Sys().PutPolicyWithContext(ctx, name, hcl); err != nil {
		return fmt.Errorf("write the policy %s: %w", name, err)
	}
	return nil
}

// List are the names of all policies (sys/policies/acl, Vault API).
func (o *Operator) List(ctx context.Context) ([]string, error) {
	names, err := o.vault.Sys().ListPoliciesWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the policies: %w", err)
	}
	return names, nil
}

// Sync makes Vault hold a policy, or none for an empty text, and reports whether it
// had to be changed.
func (o *Operator) Sync(ctx context.Context, name, hcl string) (changed bool, err error) {
	have, err := o.vault.Sys().GetPolicyWithContext(ctx, name)
	if err != nil {
		return false, fmt.Errorf("read the policy %s: %w", name, err)
	}
	if have == hcl {
		return false, nil
	}
	if hcl != "" {
		return true, o.Write(ctx, name, hcl)
	}
	if err := o.vault.Sys().DeletePolicyWithContext(ctx, name); err != nil {
		return false, fmt.Errorf("remove the policy %s: %w", name, err)
	}
	return true, nil
}

// Token makes a token that has these policies and nothing else (auth/token/create,
// Vault API).
func (o *Operator) Token(ctx context.Context, subject string, policies []string, ttl time.Duration) (call.Secret, error) {
	s, err := o.vault.Auth().Token().CreateWithContext(ctx, &api.TokenCreateRequest{
		Policies: policies, NoDefaultPolicy: true, TTL: ttl.String(), DisplayName: subject,
	})
	if err != nil {
		return "", fmt.Errorf("make a token with the policies %s: %w", strings.Join(policies, ", "), err)
	}
	return call.Secret(s.Auth.ClientToken), nil
}

// SetUp makes Vault what a Setup says (sys/auth, auth/jwt and sys/policies/acl, Vault API).
func (o *Operator) SetUp(ctx context.Context, s Setup) error {
	accessor, err := o.accessor(ctx, s.Mount)
	if err != nil {
		return err
	}
	if accessor == "" {
		step := s.EnableAuth()
		if _, err := o.vault.Logical().WriteWithContext(ctx, step.Path, step.Body); err != nil {
			return fmt.Errorf("write %s: %w", step.Path, err)
		}
		if accessor, err = o.accessor(ctx, s.Mount); err != nil {
			return err
		}
	}
	for _, step := range s.Steps(accessor) {
		if _, err := o.vault.Logical().WriteWithContext(ctx, step.Path, step.Body); err != nil {
			return fmt.Errorf("write %s: %w", step.Path, err)
		}
	}
	return nil
}

// accessor is that of an auth method, empty when there is none.
func (o *Operator) accessor(ctx context.Context, mount string) (string, error) {
	methods, err := o.vault.Sys().ListAuthWithContext(ctx)
	if err != nil {
		return "", fmt.Errorf("list the auth methods: %w", err)
	}
	if m := methods[mount+"/"]; m != nil {
		return m.Accessor, nil
	}
	return "", nil
}
