package server

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/oidc"
	"portcullis/gateway/policy"
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
	vc.Login = vault.Login{Role: gatewayRole, Mount: c.OIDCMount, Assert: func(role string) (call.Secret, error) { return issuer.Assert(nil, nil, role) }}
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

// VaultSetup is what Vault is to be told for a way in which callers get their tokens:
// gateway, child or jwt. rules are those of any caller by a policy.
func VaultSetup(c config.Config, callers string, rules vaultpolicy.Rights, e *policy.Engine) (vaultpolicy.Plan, error) {
	s := vaultpolicy.Setup{
		Registry: vaultpolicy.Place{Mount: c.KVMount, Path: strings.TrimPrefix(c.DefaultPrefix+"/.leases", "/")},
		Anchor:   vaultpolicy.Place{Mount: vaultAnchor(c).Mount, Path: vaultAnchor(c).Path.String()},
		Fence:    vaultpolicy.ForAll(e, rules.All),
	}
	s.Firm.Mount, s.Firm.Path = c.FirmPlace()
	s.Signs.Mount, s.Signs.Path = c.SigningKey()
	if callers == "jwt" {
		return keylessPlan(c, s)
	}
	a := vaultpolicy.AppRole{
		Setup: s, Mount: cmp.Or(c.VaultAuthMount, "approle"), Role: "portcullis", Base: c.DefaultPrefix, Rotate: c.VaultSecretIDRotation > 0,
	}
	if callers == "child" {
		a.Child = &vaultpolicy.Children{Role: c.ChildTokenRole, Lease: c.LeaseTokenRole, Policies: c.ChildTokenPolicyPrefix}
	}
	return a.Plan(), nil
}

func keylessPlan(c config.Config, s vaultpolicy.Setup) (vaultpolicy.Plan, error) {
	k := vaultpolicy.Keyless{
		Setup: s, Mount: c.OIDCMount, Issuer: c.OIDCIssuer, Caller: callerRole, Lease: leaseRole, Gateway: gatewayRole, Own: oidc.Own,
		Audience: oidc.Audience, ClaimMark: oidc.ClaimMark,
	}
	if k.Issuer == "" {
		return vaultpolicy.Plan{}, errors.New("OIDC_ISSUER: not set: the URL by which Vault knows the gateway")
	}
	if c.OIDCKeyFile == "" {
		return k.Plan(), nil
	}
	issuer, err := oidc.New(c.OIDCIssuer, c.OIDCKeyFile)
	if err == nil {
		k.Keys, err = issuer.Keys()
	}
	return k.Plan(), err
}
