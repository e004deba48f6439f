package vault

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/credential"
)

// user is one credential of a caller. Credentials of one caller may have different
// roles, so what one of them may does not follow from another.
type user struct {
	caller *call.Caller // as last seen
	seen   time.Time
	purse  *purse // nil as long as it has not needed a token
}

// purse holds the tokens of the credentials that may do the same.
type purse struct {
	caller   *call.Caller
	policies Policies
	names    []string         // of the policies that its tokens carry
	asked    time.Time        // when Vault was asked for them; guarded by the holder's writing
	batch    *credential.Cell // for requests
	lease    *credential.Cell // for what makes leases
}

// maxUsers bounds the credentials that are known of one caller.
const maxUsers = 64

// credentialOf is everything of a caller that tells its credential from others of the
// same caller. Scopes are left out: they narrow a call, not what Vault lets the
// caller do.
func credentialOf(c *call.Caller) string {
	parts := []string{c.KeyID, c.Kind, c.Issuer, c.Prefix.String(), c.Tier, string(c.Method), c.CertFP}
	for a := c.OnBehalfOf; a != nil; a = a.Next {
		parts = append(parts, a.Kind, a.Subject)
	}
	parts = append(parts, "", strconv.Itoa(len(c.Roles)))
	parts = append(parts, slices.Sorted(slices.Values(c.Roles))...)
	parts = append(parts, slices.Sorted(slices.Values(c.Groups))...)
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(strconv.Itoa(len(p)))
		b.WriteByte(':')
		b.WriteString(p)
	}
	return b.String()
}

// use notes that a credential was used. The caller holds mu.
func (h *holder) use(c *call.Caller) *user {
	if h.latest != nil && h.latest.caller == c { // the calls of one credential share it
		h.latest.seen = time.Now()
		return h.latest
	}
	id := credentialOf(c)
	u := h.users[id]
	if u == nil {
		h.forgetOldest()
		u = &user{}
		h.users[id] = u
	}
	u.caller, u.seen = c, time.Now()
	h.latest = u
	return u
}

// forgetOldest makes room for a credential. The caller holds mu.
func (h *holder) forgetOldest() {
	if len(h.users) < maxUsers {
		return
	}
	oldest := ""
	for id, u := range h.users {
		if oldest == "" || u.seen.Before(h.users[oldest].seen) {
			oldest = id
		}
	}
	delete(h.users, oldest)
}

// cell is the token for an operation. A lease dies with the token that it was made
// with, so what makes leases uses the one that lives longer.
func (h *holder) cell(c *call.Caller, op string) *credential.Cell {
	if !h.of.Enabled {
		return h.of.client.root
	}
	h.mu.Lock()
	p := h.use(c).purse
	h.mu.Unlock()
	if p == nil {
		p = h.settle(c)
	}
	if op == "db.issue_creds" || op == "ssh.otp" {
		return p.lease
	}
	return p.batch
}

// settle works out what a credential may, and gives it the purse for that.
func (h *holder) settle(c *call.Caller) *purse {
	policies, err := h.of.PolicyFor(c)
	if err != nil {
		policies = Policies{}
	}
	names := policies.names(h.policy)
	id := strings.Join(names, " ")
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.purses[id]
	if p == nil {
		p = h.newPurse(c, policies, names)
		h.purses[id] = p
	}
	h.subject = policies.Subject
	h.use(c).purse = p
	return p
}

func (h *holder) newPurse(c *call.Caller, policies Policies, names []string) *purse {
	p := &purse{caller: c, policies: policies, names: names}
	client := h.of.client
	p.batch = &credential.Cell{Get: func(ctx context.Context) (credential.Token, error) { return h.newBatch(ctx, p) }, Timeout: client.timeout, Ahead: true}
	p.lease = &credential.Cell{
		Get: func(ctx context.Context) (credential.Token, error) { return h.newLease(ctx, p) }, Timeout: client.timeout,
		Lost: func(t credential.Token) {
			ctx, cancel := context.WithTimeout(context.Background(), client.timeout)
			defer cancel()
			if err := client.endToken(ctx, h.key, t.Accessor); err != nil {
				client.log.Warn("a token of a caller that has gone was not revoked", "caller", h.key, "cause", err)
			}
		},
	}
	return p
}

// close ends the giving out of tokens for good.
func (h *holder) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.killed = true
	for _, p := range h.purses {
		p.batch.Close()
		p.lease.Close()
	}
}

func (h *holder) closed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.killed
}

// callers are the credentials that were used, as last seen; after a restart there is
// none, and only who it is is known.
func (h *holder) callers() (list []*call.Caller) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range h.users {
		list = append(list, u.caller)
	}
	if len(list) == 0 {
		list = append(list, h.caller)
	}
	return list
}

// drop forgets a credential.
func (h *holder) drop(c *call.Caller) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.users, credentialOf(c))
	h.latest = nil
}

// resettle works out anew what every credential may that has tokens, and lets those
// go that nobody needs any more.
func (h *holder) resettle() {
	for _, c := range h.callers() {
		h.mu.Lock()
		u := h.users[credentialOf(c)]
		settled := u != nil && u.purse != nil
		h.mu.Unlock()
		if settled {
			h.settle(c)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	needed := map[*purse]bool{}
	for _, u := range h.users {
		needed[u.purse] = true
	}
	for id, p := range h.purses {
		if !needed[p] {
			delete(h.purses, id)
		}
	}
}

// leaseTokens are the cells of the tokens that leases hang on.
func (h *holder) leaseTokens() (list []*credential.Cell) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.purses {
		list = append(list, p.lease)
	}
	return list
}
