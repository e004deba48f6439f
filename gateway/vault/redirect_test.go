package vault_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// node is a server that says of itself what a node of Vault says, and counts how often
// it has seen a token.
type node struct {
	*httptest.Server
	leader, cluster string // what it says
	self            bool
	location        string // where it redirects to, empty for nowhere
	tokens          int
	asked           int
}

func newNode(t *testing.T, https bool) *node {
	t.Helper()
	n := &node{cluster: "one"}
	n.Server = httptest.NewUnstartedServer(n)
	if https {
		n.StartTLS()
	} else {
		n.Start()
	}
	t.Cleanup(n.Close)
	return n
}

// ServeHTTP implements http.Handler.
func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.asked++
	if r.Header.Get("X-Vault-Token") != "" {
		n.tokens++
	}
	switch {
	case r.URL.Path == "/v1/sys/leader":
		_, _ = fmt.Fprintf(w, `{"ha_enabled":true,"is_self":%v,"leader_address":%q}`, n.self, n.leader)
	case r.URL.Path == "/v1/sys/health":
		_, _ = fmt.Fprintf(w, `{"initialized":true,"sealed":false,"standby":%v,"cluster_id":%q}`, !n.self, n.cluster)
	case n.location != "":
		w.Header().Set("Location", n.location+r.URL.RequestURI())
		w.WriteHeader(http.StatusTemporaryRedirect)
	default:
		_, _ = io.WriteString(w, answer)
	}
}

// TestTokensGoToTheClusterAlone: a token follows a redirect to the node that the
// configured address names as the active one and that says the same, or to one that the
// configuration names, and nowhere else.
func TestTokensGoToTheClusterAlone(t *testing.T) { overBoth(t, testTokensGoToTheClusterAlone) }

func testTokensGoToTheClusterAlone(t *testing.T) {
	cases := map[string]struct {
		set   func(standby, other *node, c *vault.Config)
		plain bool // the other speaks plain HTTP and the configured one HTTPS
		want  bool
	}{
		"the active node":            {want: true},
		"named in the configuration": {set: func(s, o *node, c *vault.Config) { s.leader, o.self, c.Nodes = "", false, []string{o.URL} }, want: true},
		"named by another spelling":  {set: func(s, o *node, c *vault.Config) { s.leader = strings.ToUpper(o.URL[:5]) + o.URL[5:] }, want: true},
		"named nowhere":              {set: func(s, _ *node, _ *vault.Config) { s.leader = s.URL }},
		"nobody leads":               {set: func(s, _ *node, _ *vault.Config) { s.leader = "" }},
		"the other does not lead":    {set: func(_, o *node, _ *vault.Config) { o.self = false }},
		"of another cluster":         {set: func(_, o *node, _ *vault.Config) { o.cluster = "two" }},
		"of no cluster":              {set: func(s, o *node, _ *vault.Config) { s.cluster, o.cluster = "", "" }},
		"with a user":                {set: func(s, o *node, _ *vault.Config) { s.location = strings.Replace(o.URL, "://", "://u:p@", 1) }},
		"in clear":                   {plain: true},
		"in clear, named":            {plain: true, set: func(_, o *node, c *vault.Config) { c.Nodes = []string{o.URL} }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			standby, other := newNode(t, true), newNode(t, !tc.plain)
			standby.leader, standby.location, other.self = other.URL, other.URL, true
			c := vault.Config{Addr: standby.URL, SkipVerify: true, Login: vault.Login{Token: "own"}}
			if tc.set != nil {
				tc.set(standby, other, &c)
			}
			got, err := read(t, newClient(t, c), caller("r"))
			if tc.want {
				if err != nil || got != "v" {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			if !call.Is(err, call.VaultError) {
				t.Errorf("got %v, want vault_error", err)
			}
			if other.tokens != 0 {
				t.Errorf("the other has seen a token %d times", other.tokens)
			}
			if strings.HasPrefix(name, "named nowhere") && other.asked != 0 {
				t.Errorf("a host that nobody names was asked %d times", other.asked)
			}
		})
	}
}
