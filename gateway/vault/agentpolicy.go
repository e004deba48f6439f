package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"portcullis/gateway/call"
)

// PolicyName is the name of a caller's policy in Vault: the prefix and the
// subject. Vault writes policy names in lower case, and subjects are not unique
// across tenants, so what such a name would lose is added behind characters that
// no subject has; two callers never share a policy.
func PolicyName(prefix, callerKey string) string {
	tenant, subject, _ := strings.Cut(callerKey, "/")
	name := subject
	if tenant != "" {
		name = tenant + ":" + subject
	}
	if lower := strings.ToLower(name); lower != name {
		sum := sha256.Sum256([]byte(name))
		name = lower + "~" + hex.EncodeToString(sum[:8])
	}
	return prefix + name
}

// keepPolicy makes Vault hold what the caller's policy is now. With look it asks
// Vault what it holds: another replica, or an operator, may have changed it. It
// reports whether it wrote.
func (h *holder) keepPolicy(ctx context.Context, look bool) (bool, error) {
	c, _ := h.now()
	want, err := h.of.PolicyFor(c)
	h.writing.Lock()
	defer h.writing.Unlock()
	if err != nil {
		if derr := h.of.client.dropPolicy(ctx, h.key); derr != nil {
			return false, derr
		}
		h.written = ""
		return false, call.Wrap(call.Forbidden, "denied by policy", err)
	}
	if look {
		if h.written, err = h.of.client.readPolicy(ctx, h); err != nil {
			return false, err
		}
		h.asked = time.Now()
	}
	if h.written == want {
		return false, nil
	}
	raw, err := json.Marshal(map[string]string{"policy": want})
	if err != nil {
		return false, err
	}
	// The same write twice is the same policy.
	err = h.of.client.asGateway(ctx, request{method: put, path: "sys/policies/acl/" + h.policy, body: raw, caller: h.key, safe: true}, nil)
	if err != nil {
		return false, childFailed(err)
	}
	h.written = want
	return true, nil
}

// mend puts a policy right that is not what it was thought to be, and reports
// whether that was so. Vault is asked at most once in lookEvery.
func (h *holder) mend(ctx context.Context) bool {
	h.writing.Lock()
	again := time.Since(h.asked) > lookEvery
	h.writing.Unlock()
	if !again {
		return false
	}
	wrote, err := h.keepPolicy(ctx, true)
	return wrote && err == nil
}

// readPolicy reads what Vault holds, "" for nothing (sys/policies/acl, Vault API).
func (c *Client) readPolicy(ctx context.Context, h *holder) (string, error) {
	var reply struct {
		Policy string `json:"policy"`
	}
	err := c.asGateway(ctx, request{method: get, path: "sys/policies/acl/" + h.policy, caller: h.key}, &envelope{Data: &reply})
	if call.Is(err, call.NotFound) {
		return "", nil
	}
	return reply.Policy, childFailed(err)
}

// dropPolicy removes a caller's policy: from then on its batch tokens, which
// cannot be revoked, may do nothing.
func (c *Client) dropPolicy(ctx context.Context, key string) error {
	name := PolicyName(c.holders.PolicyPrefix, key)
	err := c.asGateway(ctx, request{method: del, path: "sys/policies/acl/" + name, caller: key, safe: true}, nil)
	if call.Is(err, call.NotFound) {
		return nil
	}
	return childFailed(err)
}
