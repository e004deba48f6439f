package vaultapi_test

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/auth/authtest"
	"portcullis/gateway/vault/vaulttest"
)

// secureWorld is a gateway in front of a Vault, both with TLS and so with HTTP/2. Vault is
// reached as the gateway is, through the second world.
func secureWorld(t *testing.T) (gateway, vault *world) {
	t.Helper()
	ca, dir := authtest.NewCA("servers"), t.TempDir()
	chain, key := ca.Server().PEM()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, data := range map[string][]byte{"chain.pem": chain, "key.pem": key, "ca.pem": ca.PEM()} {
		if err := os.WriteFile(at(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{dir: t.TempDir(), vault: vaulttest.Start(t, "--tls-cert", at("chain.pem"), "--tls-key", at("key.pem"))}
	w.begin(t, map[string]string{"TLS_CERT_FILE": at("chain.pem"), "TLS_KEY_FILE": at("key.pem"), "VAULT_CACERT": at("ca.pem")})
	w.http = holding(t, ca, nil)
	w.http.Timeout = patience
	return w, &world{url: w.vault.Addr, http: w.http, vault: w.vault}
}

// ownHeaders are those that only the gateway's answers have, or only Vault's.
func ownHeaders() []string {
	return []string{"X-Content-Type-Options", "X-Correlation-Id", "X-Decision-Id", "X-Request-Id", "Www-Authenticate", "X-Vault-Namespace"}
}

// TestLikeVaultOverHTTP2: status, form and headers are Vault's there too.
func TestLikeVaultOverHTTP2(t *testing.T) {
	w, vault := secureWorld(t)
	for i, l := range slices.Concat(kvLikenesses(), otherLikenesses()) {
		if strings.HasPrefix(l.path, "legacy/") || l.unlike == once || strings.Contains(l.path, "%zz") {
			continue // no such mount here; a client takes Vault's answer for a broken connection and asks for ever
		}
		want := vault.send(t, l.method, l.path, vault.vault.Token, l.body, l.headers...)
		got := w.send(t, l.method, l.path, agentKey, l.body, l.headers...)
		if same := form(want) == form(got); same != (l.unlike == "") {
			t.Errorf("%d: %s %s %s %v: same %v, unlike %q\nVault:   %s\ngateway: %s\n%v", i, l.method, l.path, l.body, l.headers, same, l.unlike, form(want), form(got), got.body)
		}
		for _, name := range ownHeaders() {
			got.header.Del(name)
			want.header.Del(name)
		}
		if l.unlike != "" || want.status == http.StatusNoContent || l.method == http.MethodHead {
			continue // Vault says of what media type nothing is, and not how long what is not sent
		}
		if a, b := slices.Sorted(maps.Keys(want.header)), slices.Sorted(maps.Keys(got.header)); !slices.Equal(a, b) {
			t.Errorf("%d: %s %s: headers\nVault:   %v\ngateway: %v", i, l.method, l.path, want.header, got.header)
		}
	}
}

// expecting is a request whose client waits to be told that its body is wanted (RFC 9110
// section 10.1.1).
type expecting struct {
	method, token, expect string
	length                int
}

// TestLikeVaultWhereABodyIsExpected: who waits to send a body is told to, or answered, as by
// Vault; a body that nobody will read is not asked for.
func TestLikeVaultWhereABodyIsExpected(t *testing.T) {
	w := smallWorld(t, nil)
	w.vault.Write("secret/data/mcp/agent/expected", map[string]any{"data": map[string]string{"a": "b"}})
	for name, c := range map[string]struct {
		request        expecting
		vault, gateway string
	}{
		"a write":             {expecting{"PUT", "", "100-continue", 20}, "100 200", "100 200"},
		"a read":              {expecting{"GET", "", "100-continue", 0}, "200", "200"},
		"a read with a body":  {expecting{"GET", "", "100-continue", 20}, "100 200", "100 200"},
		"a wrong token":       {expecting{"PUT", "wrong", "100-continue", 20}, "100 403", "403 close"}, // before the body is asked for
		"too large":           {expecting{"PUT", "", "100-continue", 64 << 20}, "100 413 close", "100 413 close"},
		"another expectation": {expecting{"PUT", "", "other", 20}, "417 close", "417 close"},
	} {
		toVault, toGateway := c.request, c.request
		if c.request.token == "" {
			toVault.token, toGateway.token = w.vault.Token, agentKey
		}
		if got := toVault.send(t, w.vault.Addr); got != c.vault {
			t.Errorf("%s: Vault: got %s, want %s", name, got, c.vault)
		}
		if got := toGateway.send(t, w.url); got != c.gateway {
			t.Errorf("%s: got %s, want %s", name, got, c.gateway)
		}
	}
}

// send sends the head of the request, and its body when it is told to. It returns the
// statuses of the answers.
func (e expecting) send(t *testing.T, url string) string {
	t.Helper()
	host := strings.TrimPrefix(url, "http://")
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "%s /v1/secret/data/mcp/agent/expected HTTP/1.1\r\nHost: %s\r\nX-Vault-Token: %s\r\nExpect: %s\r\nContent-Length: %d\r\n\r\n", e.method, host, e.token, e.expect, e.length)
	answers, all := bufio.NewReader(conn), ""
	for {
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return all + " " + err.Error()
		}
		all += fmt.Sprint(" ", resp.StatusCode)
		if resp.StatusCode != http.StatusContinue {
			_ = resp.Body.Close()
			if resp.Close {
				all += " close"
			}
			return strings.TrimSpace(all)
		}
		body := `{"data":{"a":"b"}}`
		fmt.Fprint(conn, body+strings.Repeat(" ", max(e.length-len(body), 0)))
	}
}
