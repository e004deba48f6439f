package server

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/oidc"
	"portcullis/gateway/store/dir"
	"portcullis/gateway/vault"
	"portcullis/gateway/vaultpolicy"
)

// The roles of the JWT auth method in Vault that callers and the gateway log in with.
const (
	callerRole  = "portcullis-caller"
	leaseRole   = "portcullis-lease"
	gatewayRole = "portcullis-gateway"
)

// issuerKey is the file in STATE_DIR with the key of the issuer.
const issuerKey = "oidc-issuer.pem"

// logIns makes callers, and the gateway, log in to Vault on the gateway's word.
func (g *Server) logIns(vc *vault.Config) error {
	if g.cfg.VaultCallers != "jwt" {
		return nil
	}
	file := g.cfg.OIDCKeyFile
	if file == "" {
		file = g.state.Path(issuerKey) // empty without a STATE_DIR: a key that lives as long as the process
	}
	var err error
	if file != "" && g.cfg.OIDCKeyFile == "" {
		if err = oidc.Make(file); err != nil {
			return fmt.Errorf("STATE_DIR: make the key of the OIDC issuer: %w", err)
		}
	}
	if g.issuer, err = oidc.New(g.cfg.OIDCIssuer, file); err != nil {
		return err
	}
	onItsWord(g.cfg, g.issuer, vc)
	return nil
}

// onItsWord lets the gateway, and callers, log in with what an issuer signs.
func onItsWord(c config.Config, issuer *oidc.Issuer, vc *vault.Config) {
	vc.Login = vault.Login{Role: gatewayRole, Mount: c.OIDCMount, Assert: func(role string) (call.Secret, error) { return issuer.Assert(nil, role) }}
	vc.Children.Enabled, vc.Children.Mount, vc.Children.Assert = true, c.OIDCMount, issuer.Assert
	vc.Children.Role, vc.Children.LeaseRole = callerRole, leaseRole
}

// errNoKey says that there is nothing yet to prove with who the gateway is.
var errNoKey = errors.New("the gateway makes its key at the first start")

// ownWord is logIns for whoever looks only: it makes no key.
func ownWord(c config.Config, vc *vault.Config) error {
	file := c.OIDCKeyFile
	if file == "" {
		file = dir.New(c.StateDir).Path(issuerKey)
		if _, err := os.Stat(file); err != nil {
			return errNoKey
		}
	}
	issuer, err := oidc.New(c.OIDCIssuer, file)
	if err != nil {
		return err
	}
	onItsWord(c, issuer, vc)
	return nil
}

// VaultSetup is what Vault is to be told so that callers can log in. rules are those of
// any caller, subjects those that the data name, by tenant.
func VaultSetup(c config.Config, rules func(*call.Caller) vaultpolicy.Rules, subjects map[string][]string) (vaultpolicy.Setup, error) {
	s := vaultpolicy.Setup{
		Mount: c.OIDCMount, Issuer: c.OIDCIssuer, Caller: callerRole, Lease: leaseRole, Gateway: gatewayRole, Own: oidc.Own, Audience: oidc.Audience,
		Registry: c.KVMount + "/" + strings.TrimPrefix(c.DefaultPrefix+"/.leases", "/"),
	}
	if strings.Contains(c.KVMount, "/") {
		return s, errors.New("KV_MOUNT: a mount with slashes cannot be set up by this command yet: use --print hcl and correct the paths")
	}
	if s.Issuer == "" {
		return s, errors.New("OIDC_ISSUER: not set: the URL by which Vault knows the gateway")
	}
	if c.OIDCKeyFile != "" {
		issuer, err := oidc.New(c.OIDCIssuer, c.OIDCKeyFile)
		if err != nil {
			return s, err
		}
		if s.Keys, err = issuer.Keys(); err != nil {
			return s, err
		}
	}
	if mount, path := c.FirmPlace(); mount != "" {
		s.Firm = mount + "/" + path
	}
	if a := vaultAnchor(c); a.Mount != "" {
		s.Anchor = a.Mount + "/" + a.Path.String()
	}
	s.Signing = c.AuditSignTransit
	var granted [][]string
	for tenant, names := range subjects {
		for _, name := range names {
			granted = append(granted, []string{tenant, name})
		}
	}
	s.Rules = vaultpolicy.ForAll(granted, rules)
	return s, nil
}
