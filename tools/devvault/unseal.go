package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/hashicorp/vault/helper/namespace"
	"github.com/hashicorp/vault/vault"
)

// unseal opens the core with the key in the store. A new core is initialised
// first, with one key share.
func unseal(ctx context.Context, core *vault.Core, store *store) (keys, error) {
	k, err := store.load()
	if err != nil {
		return k, err
	}
	known, err := core.Initialized(ctx)
	if err != nil {
		return k, err
	}
	if known && k.UnsealKey == "" {
		return k, fmt.Errorf("%s holds a Vault without its keys.json: remove the directory", store.dir)
	}
	if !known {
		if k, err = initialise(ctx, core); err != nil {
			return k, err
		}
		if err := store.save(k); err != nil {
			return k, err
		}
	}
	return k, openCore(core, k.UnsealKey)
}

// openCore unseals a core with its only key.
func openCore(core *vault.Core, unsealKey string) error {
	key, err := base64.StdEncoding.DecodeString(unsealKey)
	if err != nil {
		return fmt.Errorf("unseal key: %w", err)
	}
	open, err := core.Unseal(key)
	if err == nil && !open {
		err = errors.New("the key was not enough")
	}
	if err != nil {
		return fmt.Errorf("unseal: %w", err)
	}
	return nil
}

func initialise(ctx context.Context, core *vault.Core) (keys, error) {
	res, err := core.Initialize(namespace.RootContext(ctx), &vault.InitParams{
		BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
	})
	if err != nil {
		return keys{}, fmt.Errorf("initialise: %w", err)
	}
	return keys{
		UnsealKey:  base64.StdEncoding.EncodeToString(res.SecretShares[0]),
		SetupToken: res.RootToken,
		SecretID:   rand.Text(),
	}, nil
}
