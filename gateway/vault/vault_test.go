package vault_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/vaulttest"
)

// caller is a caller of the tests.
func caller(subject string) *call.Caller {
	p, err := call.ParsePath("mcp/" + subject)
	if err != nil {
		panic(err)
	}
	return &call.Caller{Subject: subject, Prefix: p, Method: call.APIKey}
}

// grant allows one operation on the KV mount.
func grant(c *call.Caller, op string) call.Grant {
	return call.Mint(c, call.Terms{DecisionID: "d-" + c.Subject, Op: op, Resource: call.Resource{Mount: "secret", Path: c.Prefix}})
}

func newClient(t testing.TB, c vault.Config) *vault.Client {
	t.Helper()
	if netHTTP {
		c = vault.OverNetHTTP(c)
	}
	c.UseOf = useOf
	cl, err := vault.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close(context.Background()) })
	return cl
}

// netHTTP lets clients send every request with net/http's transport, see overBoth.
var netHTTP bool

// overBoth runs a test over both ways in which requests can go: the gateway's own
// transport, and net/http's, which has what goes through a proxy. Each must keep what the
// test says.
func overBoth(t *testing.T, test func(*testing.T)) {
	for _, netHTTP = range []bool{false, true} {
		t.Run(map[bool]string{false: "http1", true: "net/http"}[netHTTP], test)
	}
	netHTTP = false
}

// useOf is what the operations of the tests declare.
func useOf(op string) vault.Use {
	return vault.Use{IssuesLease: op == "db.issue_creds", Cacheable: op == "kv.read"}
}

func open(t testing.TB, cl *vault.Client, g call.Grant) *vault.Session {
	t.Helper()
	s, err := cl.Open(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// approle is the login that the dev Vault is made for.
func approle(v *vaulttest.Vault) vault.Login {
	return vault.Login{RoleID: v.RoleID, SecretID: call.Secret(v.SecretID)}
}

// secret is what Vault answers to a read.
type secret struct {
	Data map[string]string `json:"data"`
}

// Complete implements vault.Reply.
func (s *secret) Complete() bool { return s.Data != nil }

// answer is what Vault answers to a read of value v.
const answer = `{"request_id":"1","data":{"data":{"value":"v"}}}`

// put writes a secret of the caller's.
func put(t testing.TB, cl *vault.Client, c *call.Caller, value string) error {
	t.Helper()
	body := map[string]any{"data": map[string]string{"value": value}}
	return open(t, cl, grant(c, "kv.write")).Put(t.Context(), "data/"+c.Prefix.String()+"/app", body, nil)
}

// read reads it.
func read(t testing.TB, cl *vault.Client, c *call.Caller) (string, error) {
	t.Helper()
	var reply secret
	err := open(t, cl, grant(c, "kv.read")).Get(t.Context(), "data/"+c.Prefix.String()+"/app", nil, &reply)
	return reply.Data["value"], err
}

// run runs the client's background work until the test ends.
func run(t testing.TB, cl *vault.Client) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); cl.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// wrapped makes a wrapping token for what a POST answers.
func wrapped(t testing.TB, v *vaulttest.Vault, path string, body map[string]string) string {
	t.Helper()
	var reply struct {
		WrapInfo struct {
			Token string `json:"token"`
		} `json:"wrap_info"`
	}
	v.Do(vaulttest.Request{Method: http.MethodPost, Path: path, Body: body, Wrap: true}, &reply)
	if reply.WrapInfo.Token == "" {
		t.Fatal("no wrapping token")
	}
	return reply.WrapInfo.Token
}

func status(t testing.TB, v *vaulttest.Vault, token string) int {
	t.Helper()
	return v.Do(vaulttest.Request{Token: token, Path: "auth/token/lookup-self"}, nil)
}
