package vault

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/hashicorp/vault/api"

	"portcullis/gateway/call"
	"portcullis/gateway/vault/wire"
)

// trusted are the nodes of Vault that the gateway's tokens may go to beside the
// configured address: those that the configuration names, and the active node that the
// configured address names and that has proved to be of the same cluster.
type trusted struct {
	named []string // origins

	mu     sync.Mutex // guards the fields below
	leader string     // origin of the active node, as verified last
	until  time.Time
}

// errElsewhere says why a redirect is not followed.
var errElsewhere = errors.New("vault redirects to a host that is neither configured nor the active node of its cluster; name the nodes in VAULT_CLUSTER_ADDRS")

// origin is scheme, host and port in one spelling.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// newTrusted trusts the configured addresses, which are URLs.
func newTrusted(addrs ...string) (*trusted, error) {
	t := &trusted{}
	for _, a := range addrs {
		u, err := url.Parse(a)
		if err != nil || u.Host == "" {
			return nil, errors.New("an address of Vault is not an http or https URL")
		}
		t.named = append(t.named, origin(u))
	}
	return t, nil
}

// knows reports whether a token may go to an origin without asking.
func (t *trusted) knows(o string) bool {
	for _, n := range t.named {
		if n == o {
			return true
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return o == t.leader && time.Now().Before(t.until)
}

func (t *trusted) learn(o string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leader, t.until = o, time.Now().Add(standbyFor)
}

// trust reports whether a token may go where a redirect leads: the configured address
// must name that node as the active one, and the node must say so as well and be of
// the same cluster (sys/leader, sys/health, Vault API). No token is sent for that.
func (c *Client) trust(ctx context.Context, to *url.URL) error {
	base, err := url.Parse(c.base.Address())
	if err != nil || to.User != nil || base.Scheme == "https" && to.Scheme != "https" {
		return errElsewhere
	}
	if c.nodes.knows(origin(to)) {
		return nil
	}
	here, err := c.introduce(ctx, base)
	if err != nil {
		return errElsewhere
	}
	named, err := url.Parse(here.Leader)
	if err != nil || origin(named) != origin(to) {
		return errElsewhere // it is not even asked
	}
	there, err := c.introduce(ctx, to)
	if err != nil || !there.Self || there.Cluster == "" || there.Cluster != here.Cluster {
		return errElsewhere
	}
	c.nodes.learn(origin(to))
	return nil
}

// introduction is what a node says of itself to everybody.
type introduction struct {
	Self    bool   `json:"is_self"`
	Leader  string `json:"leader_address"`
	Cluster string `json:"cluster_id"`
}

func (c *Client) introduce(ctx context.Context, node *url.URL) (i introduction, err error) {
	for _, path := range []string{"sys/leader", "sys/health?standbyok=true&perfstandbyok=true"} {
		status, err := c.public(ctx, node, path, &i)
		if err == nil && status != http.StatusOK {
			err = errElsewhere
		}
		if err != nil {
			return i, err
		}
	}
	return i, nil
}

// public asks a node for a small document that it shows to everybody, at a path below
// /v1/, and decodes it into out unless the status tells of an error. No token is sent.
func (c *Client) public(ctx context.Context, node *url.URL, path string, out any) (status int, err error) {
	u, err := url.Parse(node.Scheme + "://" + node.Host + strings.TrimSuffix(node.Path, "/") + "/v1/" + path)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-Vault-Request", "true")
	resp, err := c.http.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxPublic))
	_ = resp.Body.Close() // all of it that matters has been read
	if err != nil || resp.StatusCode >= http.StatusMultipleChoices {
		return resp.StatusCode, err
	}
	return resp.StatusCode, json.Unmarshal(raw, out)
}

// redirected is the request for where a standby says that the active node is.
func (c *Client) redirected(ctx context.Context, r wire.Request, resp *api.Response, stayed bool) (wire.Request, error) {
	r, err := c.standby.redirect(r, resp, stayed)
	if err != nil {
		return r, err
	}
	if err := c.trust(ctx, r.Node); err != nil {
		return r, call.Wrap(call.VaultError, "Vault redirects to a host that the gateway does not know", err) // nothing was done where it was sent, see standby
	}
	return r, nil
}
