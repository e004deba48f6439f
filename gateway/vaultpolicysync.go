package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/auth/deny"
	"portcullis/gateway/auth/principal"
	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/server"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vaultpolicy"
)

// sync brings the policies of subjects in step with the data and says what it did.
func (v vaultPolicyCmd) sync(cfg config.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	o, err := vaultpolicy.NewOperator(cfg.VaultAddr, cfg.VaultNamespace, cfg.VaultToken)
	if err != nil {
		return usageError{err}
	}
	want, err := v.wanted(ctx, cfg, o)
	if err != nil {
		return err
	}
	var problems []error
	same := 0
	for _, name := range slices.Sorted(maps.Keys(want)) {
		changed, err := o.Sync(ctx, name, want[name])
		switch {
		case err != nil:
			problems = append(problems, err)
		case !changed:
			same++
		case want[name] == "":
			fmt.Println("removed", name)
		default:
			fmt.Println("wrote", name)
		}
	}
	fmt.Println(same, "in step already")
	return errors.Join(problems...)
}

// wanted is the text of every policy that Vault holds or is to hold, empty for one
// that is to go. A name that does not tell whose it is, is left alone.
func (v vaultPolicyCmd) wanted(ctx context.Context, cfg config.Config, o *vaultpolicy.Operator) (map[string]string, error) {
	rights, err := rightsBy(cfg)
	if err != nil {
		return nil, err
	}
	denied, err := deny.Open(cfg.DenyListFile)
	if err != nil {
		return nil, err
	}
	names, err := o.List(ctx)
	if err != nil {
		return nil, err
	}
	want := map[string]string{}
	set := func(tenant, subject string) {
		c := &call.Caller{Tenant: tenant, Subject: subject, Method: call.APIKey}
		if v.Subject != "" && (subject != v.Subject || tenant != v.Tenant) || principal.Check(c, server.BasePrefix(cfg)) != nil {
			return
		}
		name := callers.PolicyName(cfg.ChildTokenPolicyPrefix, c.Key())
		for _, have := range names {
			if have == name || strings.HasPrefix(have, name+callers.AdditionalMark) {
				want[have] = ""
			}
		}
		if denied.Check(c, time.Now()) != nil {
			return
		}
		if _, applied := want[name]; applied {
			want[name] = rights.of.All(c).HCL()
		}
		for _, engine := range rights.engines {
			if text := rights.of(c, engine).HCL(); text != "" {
				want[callers.EnginePolicyName(name, engine)] = text
			}
		}
	}
	for _, name := range names {
		if tenant, subject, ok := callers.SubjectOf(cfg.ChildTokenPolicyPrefix, name); ok {
			set(tenant, subject)
		}
	}
	for tenant, subjects := range rights.data.Subjects() {
		for _, subject := range subjects {
			set(tenant, subject)
		}
	}
	if v.Subject != "" {
		set(v.Tenant, v.Subject)
	}
	return want, nil
}
