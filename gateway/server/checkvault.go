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

// CheckVault asks Vault whether it has what the configuration says: it accepts the
// gateway's credential, and the secrets engines are where calls look for them. warnings
// are what some calls will fail for, or why nothing could be found out; the error is what
// every call would fail for.
func CheckVault(ctx context.Context, c config.Config) (warnings []string, err error) {
	if c.VaultSecretIDWrapped {
		return []string{"what Vault has was not checked: the wrapped secret id opens only once"}, nil
	}
	cl, err := lookingAtVault(c, vault.Documents{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = cl.Close(ctx) }() // the token ends by itself
	e := call.AsError(cl.Ready(ctx))
	switch {
	case e == nil:
		return cl.Engines(), nil
	case e.Code == call.VaultUnavailable, e.Code == call.VaultTimeout:
		return []string{"what Vault has was not checked: " + e.Msg}, nil
	}
	return cl.Engines(), errors.New(e.Msg)
}

// lookingAtVault is a client for questions with the gateway's own identity, about its own
// documents as well. It makes nothing for callers.
func lookingAtVault(c config.Config, d vault.Documents) (*vault.Client, error) {
	vc := vaultConfig(c, slog.New(slog.DiscardHandler))
	vc.Documents = d
	vc.Children.PolicyFor = func(*call.Caller) (callers.Policies, error) {
		return callers.Policies{}, errors.New("no caller is served here")
	}
	return vault.New(vc)
}
