package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// identity is the gateway's own token: configured, or got from AppRole and got
// again when Vault no longer accepts it.
type identity struct {
	client           *Client
	fixed            string
	roleID, secretID string

	mu      sync.Mutex // guards the fields below and makes logins single-flight
	current string
	expires time.Time
}

// loginMargin is how long before its end a token is replaced.
const loginMargin = 10 * time.Second

func newIdentity(c Config, cl *Client) *identity {
	return &identity{client: cl, fixed: c.Token, roleID: c.RoleID, secretID: c.SecretID}
}

// token returns a token that was valid when last seen.
func (i *identity) token(ctx context.Context) (string, error) {
	if i.roleID == "" {
		if i.fixed == "" {
			return "", call.Errorf(call.VaultAuth, "the gateway has no Vault credential")
		}
		return i.fixed, nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current != "" && time.Until(i.expires) > loginMargin {
		return i.current, nil
	}
	return i.login(ctx)
}

// dead drops a token that Vault has refused, and reports whether another one may
// be had.
func (i *identity) dead(token string) bool {
	if i.roleID == "" {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current == token {
		i.current = ""
	}
	return true
}

// login exchanges the AppRole for a token (auth/approle/login, Vault API).
func (i *identity) login(ctx context.Context) (string, error) {
	body, err := json.Marshal(map[string]string{"role_id": i.roleID, "secret_id": i.secretID})
	if err != nil {
		return "", err
	}
	var reply struct {
		Auth struct {
			ClientToken   string `json:"client_token"`
			LeaseDuration int    `json:"lease_duration"`
		} `json:"auth"`
	}
	if err := i.client.roundTrip(ctx, request{method: post, path: "auth/approle/login", body: body}, &reply); err != nil {
		if e := call.AsError(err); e.Code == call.VaultUnavailable || e.Code == call.VaultTimeout {
			return "", err
		}
		return "", call.Wrap(call.VaultAuth, "the gateway cannot log in to Vault", errors.Unwrap(err))
	}
	i.current = reply.Auth.ClientToken
	i.expires = time.Now().Add(time.Duration(reply.Auth.LeaseDuration) * time.Second)
	if reply.Auth.LeaseDuration == 0 {
		i.expires = time.Now().Add(time.Hour)
	}
	return i.current, nil
}

// close revokes a token that was got by logging in.
func (i *identity) close(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current == "" {
		return nil
	}
	r := request{method: post, path: "auth/token/revoke-self", token: i.current, body: bytes.Clone([]byte("{}"))}
	i.current = ""
	return i.client.roundTrip(ctx, r, nil)
}
