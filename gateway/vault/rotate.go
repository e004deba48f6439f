package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/files"
	"portcullis/gateway/retry"
	"portcullis/gateway/vault/wire"
)

// The AppRole's secret id is replaced in steps, so that at each of them a login succeeds
// and a crash leaves nothing that is not known: a new one is made and noted in FILE.next,
// tried by a login, put in the place of FILE, and the old one, noted in FILE.old, is
// destroyed (Vault API, auth/approle). Tokens that were got with the old one stay good.
// Gateways that share the file share the rotation: one does it at a time, and it is due
// when the file is as old as the interval.
const (
	next = ".next"
	old  = ".old"
)

// rotateAgain is how soon a rotation is tried again that has failed, at the latest.
const rotateAgain = 30 * time.Second

// keepSecretID replaces the secret id on schedule, until ctx ends.
func (c *Client) keepSecretID(ctx context.Context) {
	every := c.login.Rotate
	for every > 0 && ctx.Err() == nil {
		wait, err := c.rotateWhenDue(ctx)
		if err != nil && ctx.Err() == nil {
			c.log.Warn("the secret id of the gateway's AppRole could not be replaced; the one in VAULT_SECRET_ID_FILE stays in use, and the gateway tries again", "cause", err)
			wait = min(every, rotateAgain)
		}
		retry.Sleep(ctx, wait)
	}
}

// rotateWhenDue replaces the secret id when it is old enough, and returns when to look
// again.
func (c *Client) rotateWhenDue(ctx context.Context) (time.Duration, error) {
	l := c.login
	lock, err := files.OpenLocked(l.SecretIDFile + ".lock")
	if err != nil {
		return 0, fmt.Errorf("another gateway may be replacing the secret id: %w", err)
	}
	defer func() { _ = lock.Close() }()
	facts, err := os.Stat(l.SecretIDFile)
	if err != nil {
		return 0, err
	}
	if due := time.Until(facts.ModTime().Add(l.Rotate)); due > 0 {
		return min(due, l.Rotate), nil // the clock may have been set back
	}
	return l.Rotate, c.rotate(ctx)
}

// rotate replaces the secret id. The caller holds the lock of its file.
func (c *Client) rotate(ctx context.Context) error {
	file := c.login.SecretIDFile
	role, err := c.appRole(ctx)
	if err != nil {
		return err
	}
	current, err := readSecret(file)
	if err != nil {
		return err
	}
	for _, left := range []string{file + next, file + old} { // by a crash
		if err := c.destroyNoted(ctx, role, left, current); err != nil {
			return err
		}
	}
	if err := c.makeSecretID(ctx, role, file+next); err != nil {
		return err
	}
	if err := errors.Join(writeSecret(file+old, current), os.Rename(file+next, file)); err != nil {
		return err
	}
	c.log.Info("the secret id of the gateway's AppRole was replaced", "role", role)
	return c.destroyNoted(ctx, role, file+old, "")
}

// makeSecretID makes a secret id, notes it in a file and tries it. One that does not work
// is destroyed the next time, because it is noted.
func (c *Client) makeSecretID(ctx context.Context, role, note string) error {
	var made secretID
	err := c.asGateway(ctx, wire.Request{Method: wire.Post, Path: c.rolePath(role) + "/secret-id", Body: []byte("{}")}, wire.WantData(&made))
	if err != nil {
		return fmt.Errorf("make a secret id (the gateway's policy must let it update %s/secret-id and %[1]s/secret-id/destroy): %w", c.rolePath(role), err)
	}
	if err := writeSecret(note, made.SecretID); err != nil {
		return errors.Join(err, c.destroySecretID(ctx, role, made.SecretID))
	}
	t, err := c.present(ctx, "approle", map[string]string{"role_id": c.login.RoleID, "secret_id": made.SecretID})
	if err != nil {
		return fmt.Errorf("log in with the new secret id: %w", err)
	}
	if err := c.revokeSelf(ctx, t); err != nil {
		c.log.Warn("the token of a tried secret id could not be revoked; it lives until its TTL ends", "cause", err)
	}
	return nil
}

// destroyNoted destroys the secret id that a file notes, unless it is the one in use, and
// removes the file. There need not be one.
func (c *Client) destroyNoted(ctx context.Context, role, note, inUse string) error {
	id, err := readSecret(note)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && id != inUse:
		if err := c.destroySecretID(ctx, role, id); err != nil {
			return err
		}
	}
	return os.Remove(note)
}

// destroySecretID destroys a secret id; one that is there no longer is destroyed.
func (c *Client) destroySecretID(ctx context.Context, role, id string) error {
	body, err := json.Marshal(map[string]string{"secret_id": id})
	if err != nil {
		return err
	}
	err = c.asGateway(ctx, wire.Request{Method: wire.Post, Path: c.rolePath(role) + "/secret-id/destroy", Body: body, Safe: true}, nil)
	if err == nil || call.Is(err, call.NotFound) {
		return nil
	}
	return fmt.Errorf("destroy a secret id: %w", err)
}

// appRole is the name of the AppRole that the gateway has logged in with.
func (c *Client) appRole(ctx context.Context) (string, error) {
	t, err := c.root.Token(ctx)
	if err != nil {
		return "", tokenFailed(err)
	}
	known, err := c.lookUp(ctx, t)
	if err != nil {
		return "", err
	}
	role := known.Meta["role_name"]
	if _, err := call.ParseName(role); err != nil {
		return "", errors.New("no role_name: Vault does not say which AppRole the gateway's token is of")
	}
	return role, nil
}

func (c *Client) rolePath(role string) string {
	mount := "approle"
	if c.login.Mount != "" {
		mount = c.login.Mount
	}
	return "auth/" + mount + "/role/" + role
}

// writeSecret writes a file that holds nothing else and that nobody else can read, and
// returns when it is on disk.
func writeSecret(file, secret string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(secret + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}
