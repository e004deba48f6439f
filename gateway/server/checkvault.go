package server

import (
	"context"
	"errors"
	"log/slog"

	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/callers"
)

// VaultFound is what CheckVault has found.
type VaultFound struct {
	Unchecked string   // why nothing could be found out
	Warnings  []string // what some calls will fail for
	Unsigned  string   // why the key of AUDIT_SIGN_TRANSIT_KEY cannot sign checkpoints
	RootToken bool     // the gateway's own token is a root token
}

// All are the warnings, and why there are none.
func (v VaultFound) All() []string {
	all := v.Warnings
	for _, text := range []string{v.Unsigned, v.Unchecked} {
		if text != "" {
			all = append([]string{text}, all...)
		}
	}
	return all
}

// CheckVault asks Vault whether it has what the configuration says: it accepts the
// gateway's credential, and the secrets engines are where calls look for them. The error
// is what every call would fail for.
func CheckVault(ctx context.Context, c config.Config) (found VaultFound, err error) {
	if c.VaultSecretIDWrapped {
		found.Unchecked = "what Vault has was not checked: the wrapped secret id opens only once"
		return found, nil
	}
	cl, err := lookingAtVault(c, vault.Config{RootToken: func() { found.RootToken = true }})
	if errors.Is(err, errNoKey) {
		found.Unchecked = "what Vault has was not checked: " + err.Error()
		return found, nil
	}
	if err != nil {
		return found, err
	}
	defer func() { _ = cl.Close(ctx) }() // the token ends by itself
	e := call.AsError(cl.Ready(ctx))
	found.Warnings = cl.Engines()
	switch {
	case e == nil:
		if err := cl.CheckSigning(ctx); err != nil {
			found.Unsigned = err.Error() // lines are written all the same
		}
		return found, nil
	case e.Code == call.VaultUnavailable, e.Code == call.VaultTimeout:
		found.Unchecked = "what Vault has was not checked: " + e.Msg
		return found, nil
	}
	return found, errors.New(e.Msg)
}

// lookingAtVault is a client for questions with the gateway's own identity, about its own
// documents as well; of more, those and RootToken count. It makes nothing for callers.
func lookingAtVault(c config.Config, more vault.Config) (*vault.Client, error) {
	vc := vaultConfig(c, slog.New(slog.DiscardHandler))
	vc.Documents, vc.RootToken = more.Documents, more.RootToken
	vc.Signing.Mount, vc.Signing.Name = c.SigningKey()
	vc.Children.PolicyFor = func(*call.Caller, string) (callers.Policies, error) {
		return callers.Policies{}, errors.New("no caller is served here")
	}
	if c.VaultCallers == "jwt" {
		if err := ownWord(c, &vc); err != nil {
			return nil, err
		}
	}
	return vault.New(vc)
}
