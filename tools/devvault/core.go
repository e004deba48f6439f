package main

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-hclog"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/audit"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/logical/database"
	"github.com/hashicorp/vault/builtin/logical/pki"
	"github.com/hashicorp/vault/builtin/logical/ssh"
	"github.com/hashicorp/vault/builtin/logical/totp"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/helper/namespace"
	"github.com/hashicorp/vault/plugins/database/postgresql"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/vault"
)

// newCore builds a sealed Vault with only the engines that the gateway knows. addr
// is where a node of several can be reached.
func newCore(store *store, addr string, log hclog.Logger) (*vault.Core, error) {
	secrets := map[string]logical.Factory{
		"kv":       kv.Factory,
		"transit":  transit.Factory,
		"ssh":      ssh.Factory,
		"database": database.Factory,
		"pki":      pki.Factory,
		"totp":     totp.Factory,
	}
	auths := map[string]logical.Factory{
		"approle":    approle.Factory,
		"kubernetes": kubernetes.Factory,
		"jwt":        jwt.Factory,
	}
	config := &vault.CoreConfig{
		Physical:           store.backend,
		StorageType:        store.kind,
		Logger:             log,
		DisableMlock:       true,
		LogicalBackends:    secrets,
		CredentialBackends: auths,
		AuditBackends: map[string]audit.Factory{
			"file":   audit.NewFileBackend,
			"socket": audit.NewSocketBackend,
		},
		BuiltinRegistry: plugins{
			consts.PluginTypeSecrets:    factories(secrets),
			consts.PluginTypeCredential: factories(auths),
			consts.PluginTypeDatabase:   {"postgresql-database-plugin": postgresql.New},
		},
	}
	if store.ha != nil {
		config.HAPhysical, config.RedirectAddr, config.ClusterAddr = store.ha, addr, "https://127.0.0.1:0"
	}
	return vault.NewCore(config)
}

// admin sends requests to the core from inside the process, with one token.
type admin struct {
	core  *vault.Core
	token string
}

func (a admin) read(ctx context.Context, path string) (map[string]any, error) {
	return a.do(ctx, logical.ReadOperation, path, nil)
}

func (a admin) write(ctx context.Context, path string, data map[string]any) (map[string]any, error) {
	return a.do(ctx, logical.UpdateOperation, path, data)
}

// do returns the data of the answer, nil when there is none. What Vault refuses
// is an error here.
func (a admin) do(ctx context.Context, op logical.Operation, path string, data map[string]any) (map[string]any, error) {
	resp, err := a.core.HandleRequest(namespace.RootContext(ctx), &logical.Request{
		Operation: op, Path: path, Data: data, ClientToken: a.token,
	})
	if resp.IsError() {
		err = resp.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", op, path, err)
	}
	if resp == nil {
		return nil, nil
	}
	return resp.Data, nil
}
