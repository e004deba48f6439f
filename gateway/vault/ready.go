package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/retry"
	"portcullis/gateway/vault/wire"
)

// Mount is a secrets engine that operations act on.
type Mount struct {
	Path    string // without slashes at its ends; it may have some inside
	Type    string // as Vault calls it; empty for any
	Setting string // the name of the setting that says where it is
	Version int    // of a KV engine, 1 or 2 as the configuration says; 0 for what Vault says
	// Required says that the gateway is of no use without the engine.
	Required bool
	Quiet    bool // its absence is nothing to tell of: nobody has asked for it
}

// readiness is what was found out last about what calls need.
type readiness struct {
	looking sync.Mutex // one look at a time; held while Vault is asked, so no call waits for it

	mu sync.Mutex // guards the fields below; taken after looking
	findings

	kv    sync.Map // path of a KV engine -> its version; as it was told last
	asked asked    // for versions, by calls
}

// findings are what a look has found.
type findings struct {
	at     time.Time
	token  string            // that it was found out with
	err    error             // why calls cannot succeed, nil when they can
	broken map[string]string // mounts that are not what they should be, with what to do
	absent map[string]string // mounts that are not there, or that the token may not use
}

// A mount is looked at again after a time, sooner as long as something is wrong.
const (
	verifyEvery = time.Minute
	verifySoon  = 5 * time.Second
)

// errNotReady says why Ready is not ready.
var errNotReady = errors.New("vault is sealed or not initialized")

// readyTimeout is how long Vault may take to say that it is there. Its answer to one
// caller's many large reads may take seconds, and then it is busy and not away.
const readyTimeout = 6 * time.Second

// Ready reports whether Vault is reachable, unsealed, and has what calls need: it
// accepts the gateway's own token, and the secrets are where the configuration says
// (sys/health, auth/token/lookup-self, sys/internal/ui/mounts, Vault API). The look is
// its own: it does not end with whoever asks. The error is for the log; its class and
// what to do are public through call.AsError.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	h, err := c.health(ctx)
	if err != nil {
		return unavailable(err)
	}
	if h.Sealed || !h.Initialized {
		return unavailable(errNotReady)
	}
	return c.Verify(ctx)
}

// condition is what Vault says of itself (sys/health, Vault API).
type condition struct {
	Initialized bool `json:"initialized"`
	Sealed      bool `json:"sealed"`
}

// howIsVault asks for the condition with a status of success, whatever the condition is.
const howIsVault = "sys/health?uninitcode=299&sealedcode=299&standbycode=299&drsecondarycode=299&performancestandbycode=299&removedcode=299&haunhealthycode=299"

// health asks Vault how it is.
func (c *Client) health(ctx context.Context) (h condition, err error) {
	node, err := url.Parse(c.base.Address())
	if err != nil {
		return h, err
	}
	for u := (connectTry{}); ; {
		u.begin()
		var status int
		if status, err = c.public(ctx, node, howIsVault, &h); err == nil && status >= http.StatusMultipleChoices {
			err = fmt.Errorf("vault answered %d", status)
		}
		if err == nil || ctx.Err() != nil || !c.mayConnectAgain(&u, err) {
			return h, err
		}
	}
}

// Verify is Ready for a Vault that is there.
func (c *Client) Verify(ctx context.Context) error {
	t, err := c.root.Token(ctx)
	if err != nil {
		return tokenFailed(err)
	}
	r := &c.ready
	r.looking.Lock()
	defer r.looking.Unlock()
	if stands, err := r.stands(t.Value); stands && !c.refused.Load() {
		return err
	}
	switch _, err := c.lookUp(ctx, t); {
	case call.Is(err, call.VaultAuth):
		return call.Wrap(call.VaultAuth, "Vault does not accept the gateway's own token: check VAULT_TOKEN, its file or the AppRole", err)
	case err != nil && !call.Is(err, call.Forbidden): // a valid token need not have the right to look itself up
		return err
	}
	found, err := c.verifyMounts(ctx)
	if err != nil {
		return err
	}
	found.at, found.token = time.Now(), t.Value
	c.logProblems(found.broken, found.absent)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.findings = found
	return r.err
}

// stands reports whether what was found out last with a token is still to be gone by, and
// what that was.
func (r *readiness) stands(token string) (stands bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	again := verifyEvery
	if r.err != nil || len(r.broken)+len(r.absent) > 0 {
		again = verifySoon
	}
	return r.token == token && time.Since(r.at) < again, r.err
}

// verifyMounts looks at every mount. The caller holds looking.
func (c *Client) verifyMounts(ctx context.Context) (found findings, err error) {
	found.broken, found.absent = map[string]string{}, map[string]string{}
	for _, m := range c.mounts {
		what, err := c.inspect(ctx, m)
		switch {
		case call.Is(err, call.Forbidden) && c.callers.Enabled:
			continue // callers' own tokens use it, the gateway's need not
		case call.Is(err, call.Forbidden):
			if what = m.missing(); m.Quiet {
				continue
			}
			found.absent[m.Path] = what
		case err != nil:
			return found, err
		case what != "":
			found.broken[m.Path] = what
		}
		if what != "" && m.Required {
			found.err = call.Errorf(call.VaultError, "%s", what)
		}
	}
	return found, nil
}

// logProblems logs what is wrong with mounts, once. The caller holds looking.
func (c *Client) logProblems(found ...map[string]string) {
	for _, problems := range found {
		for path, what := range problems {
			if c.ready.broken[path] != what && c.ready.absent[path] != what {
				c.log.Warn("a secrets engine is not what the configuration says", "mount", path, "cause", what)
			}
		}
	}
}

// mountFacts is what Vault says of a mount to whoever may use it.
type mountFacts struct {
	Path    string            `json:"path"`
	Type    string            `json:"type"`
	Options map[string]string `json:"options"`
}

// Complete implements Reply.
func (f *mountFacts) Complete() bool { return f.Path != "" && f.Type != "" }

// inspect says what is wrong with a mount and what to do about it, "" for nothing.
func (c *Client) inspect(ctx context.Context, m Mount) (string, error) {
	var f mountFacts
	err := c.asGateway(ctx, wire.Request{Method: wire.Get, Path: "sys/internal/ui/mounts/" + m.Path}, wire.WantData(&f))
	switch at := strings.Trim(f.Path, "/"); {
	case err != nil:
		return "", err
	case at != m.Path:
		return fmt.Sprintf("%s: there is no secrets engine at %q, which lies within the one at %q: correct %s", m.Setting, m.Path, at, m.Setting), nil
	case m.Type != "" && f.Type != m.Type && (m.Type != "kv" || f.Type != "generic"):
		return fmt.Sprintf("%s: the secrets engine at %q is of type %s, not %s: correct %s", m.Setting, m.Path, f.Type, m.Type, m.Setting), nil
	case m.Type == "kv":
		return c.inspectKV(m, f), nil
	}
	return "", nil
}

// inspectKV says what is wrong with the version of a KV engine, and notes the version.
func (c *Client) inspectKV(m Mount, f mountFacts) string {
	version := 1
	if f.Options["version"] == "2" {
		version = 2
	}
	c.ready.kv.Store(m.Path, version)
	switch {
	case m.Required && version != 2:
		return fmt.Sprintf("%s: the secrets engine at %q is KV version 1, and the gateway needs version 2 for the default mount: upgrade it (vault kv enable-versioning %s) or set %s to another one", m.Setting, m.Path, m.Path, m.Setting)
	case m.Version != 0 && version != m.Version:
		return fmt.Sprintf("%s: the secrets engine at %q is KV version %d, and the configuration says version %d: correct it, or leave the version out to have it found out", m.Setting, m.Path, version, m.Version)
	}
	return ""
}

// missing says that a mount is not there; Vault does not tell that from one that the
// token has no right on.
func (m Mount) missing() string {
	enable := m.Type
	if enable == "kv" {
		enable = "kv-v2"
	}
	return fmt.Sprintf("%s: there is no secrets engine at %q, or the gateway's token has no right on it: enable it (vault secrets enable -path=%s %s), correct %s, or give the token a policy (portcullis vault-policy prints one)", m.Setting, m.Path, m.Path, enable, m.Setting)
}

// Engines are sentences about the mounts that are not what they should be, without those
// that make the gateway not ready.
func (c *Client) Engines() (problems []string) {
	c.ready.mu.Lock()
	defer c.ready.mu.Unlock()
	for _, m := range c.mounts {
		if what := c.ready.broken[m.Path] + c.ready.absent[m.Path]; what != "" && !m.Required {
			problems = append(problems, what)
		}
	}
	return problems
}

// usable refuses what would act on a mount that is known to be another than it should
// be: its answers would look like those of an empty one.
func (c *Client) usable(mount string) error {
	c.ready.mu.Lock()
	defer c.ready.mu.Unlock()
	if what := c.ready.broken[mount]; what != "" {
		return call.Errorf(call.VaultError, "%s", what)
	}
	return nil
}

// keepVerified verifies what calls need, from the start on, until ctx ends.
func (c *Client) keepVerified(ctx context.Context) {
	for ctx.Err() == nil && len(c.mounts) > 0 {
		look, cancel := context.WithTimeout(ctx, c.timeout)
		err := c.Verify(look)
		cancel()
		wait := verifyEvery
		if err != nil {
			wait = verifySoon
		}
		retry.Sleep(ctx, wait)
	}
}
