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

// SetUp makes Vault what a Plan says (sys/auth and the paths of its steps, Vault API).
func (o *Operator) SetUp(ctx context.Context, p Plan) error {
	accessor, err := o.authMethod(ctx, p)
	if err != nil {
		return err
	}
	for _, step := range p.Steps {
		body, err := step.body(accessor)
		if err != nil {
			return err
		}
		if _, err := o.vault.Logical().WriteBytesWithContext(ctx, step.Path, []byte(body)); err != nil {
			return fmt.Errorf("write %s: %w", step.Path, err)
		}
	}
	return nil
}

// authMethod is the accessor of a plan's auth method, which is made when there is none.
func (o *Operator) authMethod(ctx context.Context, p Plan) (string, error) {
	accessor, err := o.accessor(ctx, p.Mount, p.Type)
	if err != nil || accessor != "" {
		return accessor, err
	}
	if err := o.vault.Sys().EnableAuthWithOptionsWithContext(ctx, p.Mount, &api.EnableAuthOptions{Type: p.Type, Description: p.Description}); err != nil {
		return "", fmt.Errorf("enable the auth method %s: %w", p.Mount, err)
	}
	return o.accessor(ctx, p.Mount, p.Type)
}

// accessor is that of an auth method, empty when there is none. One of another type is an
// error: it serves somebody else.
func (o *Operator) accessor(ctx context.Context, mount, kind string) (string, error) {
	methods, err := o.vault.Sys().ListAuthWithContext(ctx)
	if err != nil {
		return "", fmt.Errorf("list the auth methods: %w", err)
	}
	m := methods[mount+"/"]
	switch {
	case m == nil:
		return "", nil
	case m.Type != kind:
		return "", fmt.Errorf("auth/%s is of the type %s, wanted is %s: name another mount in VAULT_AUTH_MOUNT, or OIDC_MOUNT", mount, m.Type, kind)
	}
	return m.Accessor, nil
}
