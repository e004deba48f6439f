package principal_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/auth/principal"
	"portcullis/gateway/auth/rule"
	"portcullis/gateway/call"
)

func TestPrefixesNeverMeet(t *testing.T) {
	base, _ := call.ParsePath("mcp")
	names := []string{"a", "b", "a.b", "acme", "a@b", "_", "-"}
	seen := map[string]string{}
	for _, tenant := range append([]string{""}, names...) {
		for _, subject := range names {
			c := call.Caller{Tenant: tenant, Subject: subject}
			if err := principal.Check(&c, base); err != nil {
				t.Fatal(err)
			}
			for prefix, key := range seen {
				p, _ := call.ParsePath(prefix)
				if c.Prefix.Within(p) || p.Within(c.Prefix) {
					t.Errorf("%s of %s and %s of %s are in one another", c.Prefix, c.Key(), prefix, key)
				}
			}
			seen[c.Prefix.String()] = c.Key()
		}
	}
}

func TestBounds(t *testing.T) {
	for name, c := range map[string]struct {
		caller call.Caller
		want   rule.Rule
	}{
		"good":            {call.Caller{Subject: "a", Tenant: "t", Roles: []string{"r"}, Scopes: []string{"kv:read", "a/b"}, Kind: "human"}, ""},
		"tenant":          {call.Caller{Subject: "a", Tenant: "../t"}, rule.UnsafeName},
		"odd roles":       {call.Caller{Subject: "a", Roles: []string{"a", "", "/admins", "Domain Admins", "../x"}}, ""},
		"two dots":        {call.Caller{Subject: "a..b"}, rule.UnsafeName},
		"too many roles":  {call.Caller{Subject: "a", Roles: make([]string, 2049)}, rule.TooMany},
		"too many groups": {call.Caller{Subject: "a", Groups: make([]string, 2049)}, rule.TooMany},
		"too much text":   {call.Caller{Subject: "a", Groups: []string{strings.Repeat("g", 40<<10)}, Roles: []string{strings.Repeat("r", 40<<10)}}, rule.TooMany},
		"too many scopes": {call.Caller{Subject: "a", Scopes: make([]string, 257)}, rule.TooMany},
		"empty scope":     {call.Caller{Subject: "a", Scopes: []string{""}}, rule.BadScope},
		"long scope":      {call.Caller{Subject: "a", Scopes: []string{strings.Repeat("s", 129)}}, rule.BadScope},
		"kind":            {call.Caller{Subject: "a", Kind: "root"}, rule.BadKind},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rule.Of(principal.Check(&c.caller, call.Path{})); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSPIFFEIDs(t *testing.T) {
	m, err := principal.NewSPIFFE("/ns/agents/", []string{"prod.test=acme"})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"spiffe://prod.test/ns/agents/robot":                        "acme robot",
		"spiffe://prod.test/ns/agents/":                             "",
		"spiffe://prod.test/ns/agents":                              "",
		"spiffe://prod.test/ns/agents/a/b":                          "",
		"spiffe://prod.test/ns/agents//robot":                       "",
		"spiffe://prod.test//ns/agents/robot":                       "",
		"spiffe://prod.test/ns/agents/robot?x":                      "",
		"spiffe://prod.test/ns/agents/robot#x":                      "",
		"spiffe://prod.test/ns/agents/%72obot":                      "",
		"spiffe://prod.test:443/ns/agents/robot":                    "",
		"spiffe://user@prod.test/ns/agents/robot":                   "",
		"spiffe://PROD.test/ns/agents/robot":                        "",
		"SPIFFE://prod.test/ns/agents/robot":                        "",
		"https://prod.test/ns/agents/robot":                         "",
		"spiffe:///ns/agents/robot":                                 "",
		"spiffe://other.test/ns/agents/robot":                       "",
		"spiffe://prod.test/ns/agents" + strings.Repeat("/a", 2000): "",
	} {
		tenant, subject, err := m.Parse(id)
		if got := strings.TrimSpace(tenant + " " + subject); err == nil && got != want || err != nil && want != "" {
			t.Errorf("%.60s: got %q, %v, want %q", id, got, err, want)
		}
		if err != nil && !errors.Is(err, rule.SPIFFE) {
			t.Errorf("%.60s: got %v", id, err)
		}
	}
}

// FuzzSPIFFE holds what is accepted to being the one text of its identity.
func FuzzSPIFFE(f *testing.F) {
	for _, s := range []string{"spiffe://prod.test/ns/agents/robot", "spiffe://prod.test/ns/agents/a/b", "spiffe://a", "x"} {
		f.Add(s)
	}
	m, err := principal.NewSPIFFE("ns/agents", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id string) {
		tenant, subject, err := m.Parse(id)
		if err == nil && id != "spiffe://"+tenant+"/ns/agents/"+subject {
			t.Errorf("%q means %q of %q", id, subject, tenant)
		}
	})
}

func Example() {
	base, _ := call.ParsePath("mcp")
	for _, c := range []call.Caller{{Subject: "agent_api"}, {Subject: "robot", Tenant: "acme"}, {Subject: "../victim"}} {
		err := principal.Check(&c, base)
		fmt.Println(c.Prefix, err)
	}
	// Output:
	// mcp/agent_api <nil>
	// mcp/~acme/robot <nil>
	//  name.unsafe: subject
}
