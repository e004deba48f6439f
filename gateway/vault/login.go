package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/files"
	"portcullis/gateway/vault/callers"
	"portcullis/gateway/vault/tokencache"
	"portcullis/gateway/vault/wire"
)

// Login is how the gateway proves itself to Vault. Exactly one way is set: a
// token, a token file, an AppRole, or a role with a JWT file.
type Login struct {
	Token     call.Secret
	TokenFile string // kept current by somebody else, for example Vault Agent

	RoleID          string // an AppRole (Vault API, auth/approle)
	SecretID        call.Secret
	SecretIDFile    string // read at every login, so that it can be rotated
	SecretIDWrapped bool   // the secret id is a wrapping token that holds it
	// Rotate is how often the secret id in SecretIDFile is replaced; 0 for never.
	Rotate time.Duration

	Role    string // a role of JWT or Kubernetes authentication (Vault API, auth/jwt, auth/kubernetes)
	JWTFile string // read at every login

	// Assert signs who the gateway is, for Role: it needs no credential of Vault's.
	Assert func(role string) (call.Secret, error)

	Mount string // of the auth method below auth/; empty for "approle" or "jwt"
}

// logsIn reports whether the token is got by logging in, and so is the gateway's
// to give back.
func (l Login) logsIn() bool { return l.RoleID != "" || l.JWTFile != "" || l.Assert != nil }

// renews reports whether there can be another token when one is refused.
func (l Login) renews() bool { return l.logsIn() || l.TokenFile != "" }

// trimmed is the login without blanks and line ends around its values, which editors
// and files leave there.
func (l Login) trimmed() Login {
	l.Token, l.SecretID = call.Secret(strings.TrimSpace(l.Token.Reveal())), call.Secret(strings.TrimSpace(l.SecretID.Reveal()))
	l.RoleID, l.Role, l.Mount = strings.TrimSpace(l.RoleID), strings.TrimSpace(l.Role), strings.Trim(l.Mount, "/ \t\r\n")
	return l
}

// check reports a token that cannot be sent as a header (RFC 9110 section 5.5).
func (l Login) check() error {
	if !sendable(l.Token.Reveal()) {
		return errors.New("VAULT_TOKEN: holds a blank, a line end or another character that no token has")
	}
	return nil
}

// sendable reports whether a token has visible ASCII characters only.
func sendable(token string) bool {
	return !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// unwrapped remembers what a wrapping token held: it opens once, and a login is
// needed again and again.
type unwrapped struct {
	mu       sync.Mutex // guards the fields below
	from     string
	secretID string
}

// logIn gets a token in the way that is set.
func (c *Client) logIn(ctx context.Context, u *unwrapped) (tokencache.Token, error) {
	l := c.login
	switch {
	case l.Assert != nil:
		jwt, err := l.Assert(l.Role)
		if err != nil {
			return tokencache.Token{}, call.Wrap(call.VaultAuth, "the gateway cannot sign who it is", err)
		}
		return c.present(ctx, "jwt", map[string]string{"role": l.Role, "jwt": jwt.Reveal()})
	case l.RoleID != "":
		return c.byAppRole(ctx, u)
	case l.JWTFile != "":
		jwt, err := readSecret(l.JWTFile)
		if err != nil {
			return tokencache.Token{}, err
		}
		return c.present(ctx, "jwt", map[string]string{"role": l.Role, "jwt": jwt})
	case l.TokenFile != "":
		t, err := readSecret(l.TokenFile)
		if err == nil && !sendable(t) {
			err = call.Wrap(call.VaultAuth, "the gateway cannot log in to Vault", fmt.Errorf("%s holds something that is no token", l.TokenFile))
		}
		return tokencache.Token{Value: t}, err
	case l.Token != "":
		return tokencache.Token{Value: l.Token.Reveal()}, nil
	default:
		return tokencache.Token{}, call.Errorf(call.VaultAuth, "the gateway has no Vault credential")
	}
}

// byAppRole logs in with the secret id. One that has been replaced since it was read is
// read again.
func (c *Client) byAppRole(ctx context.Context, u *unwrapped) (t tokencache.Token, err error) {
	for tried := ""; ; {
		id, rerr := c.secretID(ctx, u)
		if rerr != nil || id == tried {
			return t, errors.Join(err, rerr)
		}
		t, err = c.present(ctx, "approle", map[string]string{"role_id": c.login.RoleID, "secret_id": id})
		if err == nil || c.login.SecretIDFile == "" || !call.Is(err, call.VaultAuth) {
			return t, err
		}
		tried = id
	}
}

// present exchanges a credential for a token.
func (c *Client) present(ctx context.Context, mount string, credentials map[string]string) (tokencache.Token, error) {
	if c.login.Mount != "" {
		mount = c.login.Mount
	}
	raw, err := json.Marshal(credentials)
	if err != nil {
		return tokencache.Token{}, err
	}
	a := wire.WantToken()
	err = c.exchange(ctx, wire.Request{Method: wire.Post, Path: "auth/" + mount + "/login", Body: raw, Safe: true}, a)
	callers.CountToken("login", err)
	return a.Token(), loginFailed(err)
}

// loginFailed tells a Vault that is away from one that does not let the gateway in.
func loginFailed(err error) error {
	e := call.AsError(err)
	if e == nil || e.Code == call.VaultUnavailable || e.Code == call.VaultTimeout || e.Code == call.Overloaded {
		return err
	}
	return call.Wrap(call.VaultAuth, "the gateway cannot log in to Vault", err)
}

// secretID is the AppRole's secret id, read and unwrapped as configured.
func (c *Client) secretID(ctx context.Context, u *unwrapped) (string, error) {
	id := c.login.SecretID.Reveal()
	if c.login.SecretIDFile != "" {
		var err error
		if id, err = readSecret(c.login.SecretIDFile); err != nil {
			return "", err
		}
	}
	if !c.login.SecretIDWrapped {
		return id, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if id == u.from {
		return u.secretID, nil
	}
	got, err := c.unwrapSecretID(ctx, id)
	if err == nil {
		u.from, u.secretID = id, got
	}
	return got, err
}

// unwrapSecretID opens a wrapping token, once it is known where it was made:
// anybody can wrap a secret id of his own (sys/wrapping/lookup, Vault API).
func (c *Client) unwrapSecretID(ctx context.Context, token string) (string, error) {
	var made wrapping
	raw, err := json.Marshal(map[string]string{"token": token})
	if err != nil {
		return "", err
	}
	err = c.exchange(ctx, wire.Request{Method: wire.Post, Path: "sys/wrapping/lookup", Body: raw, Safe: true}, wire.WantData(&made))
	if err != nil {
		return "", loginFailed(err)
	}
	mount := "approle"
	if c.login.Mount != "" {
		mount = c.login.Mount
	}
	if p := made.Path; !strings.HasPrefix(p, "auth/"+mount+"/role/") || !strings.HasSuffix(p, "/secret-id") {
		return "", call.Wrap(call.VaultAuth, "the gateway cannot log in to Vault", fmt.Errorf("secret id was wrapped at another path"))
	}
	var opened secretID
	err = c.exchange(ctx, wire.Request{Method: wire.Post, Path: "sys/wrapping/unwrap", Token: token, Body: []byte("{}")}, wire.WantData(&opened))
	return opened.SecretID, loginFailed(err)
}

// wrapping is what Vault says of a wrapping token.
type wrapping struct {
	Path string `json:"creation_path"`
}

// Complete implements Reply.
func (w *wrapping) Complete() bool { return w.Path != "" }

// secretID is what a wrapping token of a secret id holds.
type secretID struct {
	SecretID string `json:"secret_id"`
}

// Complete implements Reply.
func (s *secretID) Complete() bool { return s.SecretID != "" }

// readSecret reads a file that holds nothing else. The error names no content.
func readSecret(file string) (string, error) {
	raw, err := files.Read(file)
	if err == nil && len(bytes.TrimSpace(raw)) == 0 {
		err = fmt.Errorf("%s is empty", file)
	}
	if err != nil {
		return "", call.Wrap(call.VaultAuth, "the gateway cannot log in to Vault", err)
	}
	return string(bytes.TrimSpace(raw)), nil
}
