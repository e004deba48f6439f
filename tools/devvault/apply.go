package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/vault/sdk/logical"
)

// apply does what the command line asks of a Vault that may be older than this
// process, and returns its role_id. Auditing starts last, so that the file
// begins with the first request from outside.
func (a admin) apply(ctx context.Context, opts options) (string, error) {
	if err := a.waitForKV(ctx); err != nil {
		return "", err
	}
	if err := a.addRootToken(ctx, opts.rootToken); err != nil {
		return "", err
	}
	if opts.postgres != "" {
		if err := a.connectPostgres(ctx, opts.postgres); err != nil {
			return "", err
		}
	}
	role, err := a.read(ctx, "auth/approle/role/gateway/role-id")
	if err != nil {
		return "", err
	}
	if opts.auditFile != "" {
		if err := a.auditTo(ctx, opts.auditFile); err != nil {
			return "", err
		}
	}
	id, _ := role["role_id"].(string)
	return id, nil
}

func (a admin) addRootToken(ctx context.Context, id string) error {
	if _, err := a.write(ctx, "auth/token/lookup", map[string]any{"token": id}); err == nil {
		return nil
	}
	_, err := a.write(ctx, "auth/token/create", map[string]any{
		"id":                id,
		"policies":          []string{"root"},
		"no_parent":         true,
		"no_default_policy": true,
		"display_name":      "root",
	})
	return err
}

// connectPostgres names the connection "postgres" and makes the role
// "readonly": a login that ends with its lease and may only select.
func (a admin) connectPostgres(ctx context.Context, dsn string) error {
	_, err := a.write(ctx, "database/config/postgres", map[string]any{
		"plugin_name":    "postgresql-database-plugin",
		"connection_url": dsn,
		"allowed_roles":  "*",
	})
	if err != nil {
		return fmt.Errorf("connect to --postgres: %w", err)
	}
	_, err = a.write(ctx, "database/roles/readonly", map[string]any{
		"db_name": "postgres",
		"creation_statements": []string{
			`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';`,
			`GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{{name}}";`,
		},
		"default_ttl": "1h",
		"max_ttl":     "24h",
	})
	return err
}

// auditTo makes the audit device "file" write to path; values stay hashed. A
// restart with another path moves the device there.
func (a admin) auditTo(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	devices, err := a.read(ctx, "sys/audit")
	if err != nil {
		return err
	}
	if old, ok := devices["file/"].(map[string]any); ok {
		if set, _ := old["options"].(map[string]string); set["file_path"] == path {
			return nil
		}
		if _, err := a.do(ctx, logical.DeleteOperation, "sys/audit/file", nil); err != nil {
			return err
		}
	}
	_, err = a.write(ctx, "sys/audit/file", map[string]any{
		"type":    "file",
		"options": map[string]any{"file_path": path, "log_raw": "false"},
	})
	return err
}
