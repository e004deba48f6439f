package stack

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Vault is a running dev Vault.
type Vault struct {
	*Process
	Addr      string `json:"addr"`
	Token     string `json:"token"`
	UnsealKey string `json:"unseal_key"`
	RoleID    string `json:"role_id"`
	SecretID  string `json:"secret_id"`
	Standby   string `json:"standby"` // address of the second node, with --standby

	AuditFile string // every request that reached this Vault
	args      []string
	root      string
	dir       string
}

// StartVault starts bin/devvault on a free port. dir takes its audit file. Further
// arguments are those of devvault --help.
func StartVault(ctx context.Context, root, dir string, args ...string) (*Vault, error) {
	v := &Vault{AuditFile: filepath.Join(dir, "vault-audit.log"), root: root, dir: dir, args: args}
	return v, v.start(ctx, "127.0.0.1:0")
}

// Restart starts a stopped Vault again at its old address. It finds what was
// there only when it keeps its data in files (--data).
func (v *Vault) Restart(ctx context.Context) error {
	return v.start(ctx, strings.TrimPrefix(v.Addr, "http://"))
}

func (v *Vault) start(ctx context.Context, listen string) error {
	// Vault itself opens the audit file; it must exist for those who read it early.
	f, err := os.OpenFile(v.AuditFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	args := append([]string{"--log-level", "error"}, v.args...)
	if !contains(v.args, "--audit-file") {
		args = append(args, "--audit-file", v.AuditFile)
	}
	if !contains(v.args, "--listen") {
		args = append([]string{"--listen", listen}, args...)
	}
	v.Process, err = Start(ctx, Command{Path: filepath.Join(v.root, "bin", "devvault"), Args: args, Dir: v.dir, Ready: true}, v)
	return err
}

func contains(args []string, flag string) bool {
	for _, a := range args {
		if a == flag || strings.HasPrefix(a, flag+"=") {
			return true
		}
	}
	return false
}

// Send sends a request with the root token and returns the status of the answer.
func (v *Vault) Send(ctx context.Context, method, path, body string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, v.Addr+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-Vault-Token", v.Token)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("vault %s %s: %w", method, path, err)
	}
	return resp.StatusCode, resp.Body.Close()
}

// Seal seals Vault.
func (v *Vault) Seal(ctx context.Context) error {
	_, err := v.Send(ctx, http.MethodPut, "sys/seal", "{}")
	return err
}

// Unseal unseals Vault.
func (v *Vault) Unseal(ctx context.Context) error {
	_, err := v.Send(ctx, http.MethodPut, "sys/unseal", `{"key":"`+v.UnsealKey+`"}`)
	return err
}
