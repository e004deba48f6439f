package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/credential"
)

// PolicyName is the name of a caller's policy in Vault: the prefix and the
// subject. Vault writes policy names in lower case, and subjects are not unique
// across tenants, so what such a name would lose is added as a hash behind "~". A name
// that has a "~" of its own gets one too, so none can look like another and its hash;
// two callers never share a policy.
func PolicyName(prefix, callerKey string) string {
	tenant, subject, _ := strings.Cut(callerKey, "/")
	name := subject
	if tenant != "" {
		name = tenant + ":" + subject
	}
	if lower := strings.ToLower(name); lower != name || strings.Contains(name, "~") {
		sum := sha256.Sum256([]byte(name))
		name = lower + "~" + hex.EncodeToString(sum[:8])
	}
	return prefix + name
}

// Policies are what Vault lets a caller do, in Vault's own language (HCL). One
// subject may come with credentials of different rights. What it may by itself is
// the policy that bears its name; what a credential may beyond that is a policy
// named after its own text, so that no credential ever changes what another may.
type Policies struct {
	Subject string // what the subject may by itself, empty for nothing
	Own     string // what this credential may beyond that, empty for nothing
	Instead bool   // Own is all: the credential may not do all that Subject says
}

// Texts are the policies of a credential's tokens by name; subject is the name of the
// subject's.
func (p Policies) Texts(subject string) map[string]string {
	t := map[string]string{}
	for _, name := range p.names(subject) {
		t[name] = p.Subject
		if name != subject {
			t[name] = p.Own
		}
	}
	return t
}

// SubjectOf is whose policy bears a name, if that can be told.
func SubjectOf(prefix, name string) (tenant, subject string, ok bool) {
	name, ok = strings.CutPrefix(name, prefix)
	name, _, _ = strings.Cut(name, OwnMark)
	if end := strings.LastIndexByte(name, '~'); end >= 0 {
		sum := sha256.Sum256([]byte(name[:end]))
		ok = ok && name[end+1:] == hex.EncodeToString(sum[:8]) // else there were capitals, and which cannot be told
		name = name[:end]
	}
	tenant, subject, with := strings.Cut(name, ":")
	if !with {
		tenant, subject = "", tenant
	}
	return tenant, subject, ok && subject != ""
}

// names are the policies of a credential's tokens, none when it may do nothing.
func (p Policies) names(subject string) (names []string) {
	if p.Subject != "" && !p.Instead {
		names = append(names, subject)
	}
	if p.Own != "" {
		names = append(names, ownName(subject, p.Own))
	}
	return names
}

// OwnMark is between the name of a subject's policy, which cannot hold it, and what
// names the policy of one credential.
const OwnMark = "+"

func ownName(subject, hcl string) string {
	sum := sha256.Sum256([]byte(hcl))
	return subject + OwnMark + hex.EncodeToString(sum[:8])
}

// texts are the policies that must be right for a purse, by name.
func (h *holder) texts(p *purse) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := map[string]string{h.policy: h.subject}
	if p.policies.Own != "" {
		t[ownName(h.policy, p.policies.Own)] = p.policies.Own
	}
	return t
}

// keepPolicies makes Vault hold what the policies of a purse are now. It asks Vault
// what it holds: another replica, or an operator, may have changed it. It reports
// whether it wrote.
func (h *holder) keepPolicies(ctx context.Context, p *purse) (wrote bool, err error) {
	h.writing.Lock()
	defer h.writing.Unlock()
	for name, want := range h.texts(p) {
		if h.written[name], err = h.of.client.readPolicy(ctx, h.key, name); err != nil {
			return wrote, err
		}
		changed, err := h.writePolicy(ctx, name, want)
		if err != nil {
			return wrote, err
		}
		wrote = wrote || changed
	}
	p.asked = time.Now()
	return wrote, nil
}

// followPolicies brings what was written in step with what the data say now.
func (h *holder) followPolicies(ctx context.Context) error {
	h.resettle()
	h.mu.Lock()
	want := map[string]string{h.policy: h.subject}
	for _, p := range h.purses {
		if own := p.policies.Own; own != "" {
			want[ownName(h.policy, own)] = own
		}
	}
	h.mu.Unlock()
	h.writing.Lock()
	defer h.writing.Unlock()
	for name := range h.written {
		if _, err := h.writePolicy(ctx, name, want[name]); err != nil {
			return err
		}
	}
	return nil
}

// wrote are the names of the policies that were written.
func (h *holder) wrote() []string {
	h.writing.Lock()
	defer h.writing.Unlock()
	return slices.Collect(maps.Keys(h.written))
}

// writePolicy writes a policy that is not what it is to be, or removes it. The same
// write twice is the same policy. The caller holds writing.
func (h *holder) writePolicy(ctx context.Context, name, want string) (bool, error) {
	if h.written[name] == want {
		return false, nil
	}
	if want == "" {
		err := h.of.client.dropPolicy(ctx, h.key, name)
		if err == nil {
			delete(h.written, name)
		}
		return err == nil, err
	}
	raw, err := json.Marshal(map[string]string{"policy": want})
	if err != nil {
		return false, err
	}
	err = h.of.client.asGateway(ctx, request{method: put, path: "sys/policies/acl/" + name, body: raw, caller: h.key, safe: true}, nil)
	if err != nil {
		return false, childFailed(err)
	}
	h.written[name] = want
	return true, nil
}

// mend puts right what Vault would not let a caller do although the gateway would: it
// returns the cell to ask again with, nil when nothing was wrong. Vault is asked at
// most once in lookEvery.
func (h *holder) mend(ctx context.Context, c *call.Caller, op string) *credential.Cell {
	h.mu.Lock()
	was := h.use(c).purse
	h.mu.Unlock()
	h.writing.Lock()
	early := was == nil || time.Since(was.asked) < lookEvery
	h.writing.Unlock()
	if early {
		return nil
	}
	p := h.settle(c)
	if wrote, err := h.keepPolicies(ctx, p); err != nil || p == was && !wrote {
		return nil
	}
	return h.cell(c, op)
}

// readPolicy reads what Vault holds, "" for nothing (sys/policies/acl, Vault API).
func (c *Client) readPolicy(ctx context.Context, key, name string) (string, error) {
	var reply policyText
	err := c.asGateway(ctx, request{method: get, path: "sys/policies/acl/" + name, caller: key}, wantData(&reply))
	if call.Is(err, call.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", childFailed(err)
	}
	return *reply.Policy, nil
}

// policyText is a policy as Vault holds it.
type policyText struct {
	Policy *string `json:"policy"`
}

// Complete implements Reply.
func (p *policyText) Complete() bool { return p.Policy != nil }

// keyList is what Vault answers to any list (Vault API, LIST).
type keyList struct {
	Keys []string `json:"keys"`
}

// Complete implements Reply.
func (l *keyList) Complete() bool { return l.Keys != nil }

// dropPolicies removes a caller's policies: from then on its batch tokens, which
// cannot be revoked, may do nothing. Those of single credentials are listed, because
// another replica may have written them; a gateway that may not list them removes
// those that it has written itself.
func (c *Client) dropPolicies(ctx context.Context, key string, own []string) error {
	subject := PolicyName(c.holders.PolicyPrefix, key)
	problems := []error{c.dropPolicy(ctx, key, subject)}
	var list keyList
	err := c.asGateway(ctx, request{method: get, path: "sys/policies/acl", query: url.Values{"list": {"true"}}, caller: key}, wantData(&list))
	if !call.Is(err, call.Forbidden) {
		problems = append(problems, childFailed(err))
	}
	names := slices.Concat(list.Keys, own)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if strings.HasPrefix(name, subject+OwnMark) {
			problems = append(problems, c.dropPolicy(ctx, key, name))
		}
	}
	return errors.Join(problems...)
}

func (c *Client) dropPolicy(ctx context.Context, key, name string) error {
	err := c.asGateway(ctx, request{method: del, path: "sys/policies/acl/" + name, caller: key, safe: true}, nil)
	if call.Is(err, call.NotFound) {
		return nil
	}
	return childFailed(err)
}
