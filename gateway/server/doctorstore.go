package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"portcullis/gateway/call"
	"portcullis/gateway/config"
	"portcullis/gateway/store/redis"
	"portcullis/gateway/vault"
)

// sharedStore asks whether the gateway may do in Redis what it has to (REDIS_URL).
func sharedStore(ctx context.Context, c config.Config) []Finding {
	if c.RedisURL == "" {
		return nil
	}
	s, err := redis.Open(redisConfig(c, slog.New(slog.DiscardHandler)))
	if err != nil {
		return []Finding{{"shared store", failed, err.Error(), "correct REDIS_URL and the files of its certificates"}}
	}
	defer func() { _ = s.Close() }()
	if err := s.Try(ctx); err != nil {
		return []Finding{{"shared store", failed, err.Error(), fmt.Sprintf("check that Redis runs, REDIS_URL and REDIS_CA, and that its user may use ~%s:* &%s:* +@all -@dangerous -@admin", c.RedisPrefix, c.RedisPrefix)}}
	}
	return []Finding{{"shared store", fine, "takes what the gateway keeps in it", ""}}
}

// firmPlace asks whether the gateway can read its place in Vault (FIRM_STORE).
func firmPlace(ctx context.Context, c config.Config) []Finding {
	place := vaultDocuments(c)
	if place.Mount == "" || c.VaultSecretIDWrapped {
		return nil
	}
	cl, err := lookingAtVault(c, vault.Config{Documents: place})
	if errors.Is(err, errNoKey) {
		return nil // which vaultIdentity has said
	}
	if err != nil {
		return []Finding{{"firm store", failed, err.Error(), "correct the settings of Vault"}}
	}
	defer func() { _ = cl.Close(ctx) }() // the token ends by itself
	if _, _, err := cl.ReadDocument(ctx, "started"); err != nil {
		return []Finding{{"firm store", failed, c.FirmStore + " cannot be read: " + call.AsError(err).Msg, firmRemedy(place)}}
	}
	return []Finding{{"firm store", fine, c.FirmStore + " can be read", ""}}
}

// firmRemedy is what FIRM_STORE needs.
func firmRemedy(place vault.Documents) string {
	return fmt.Sprintf("Vault must be reachable, %s a KV version 2 mount (vault secrets enable -path=%s -version=2 kv), and the gateway's policy must have create, read and update on %s/data/%s/*",
		place.Mount, place.Mount, place.Mount, place.Path)
}
