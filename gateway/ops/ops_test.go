package ops_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/e2e/stack"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/leases"
)

// rig runs operations on a real Vault, as the pipeline would, but with grants
// that the test mints itself.
type rig struct {
	vault     *stack.Vault
	client    *vault.Client
	catalogue *op.Catalogue
}

// newRig starts a Vault; bin/devvault must have been built.
func newRig(t *testing.T, args ...string) *rig {
	t.Helper()
	root, err := stack.Root()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{catalogue: catalogue(t)}
	if r.vault, err = stack.StartVault(t.Context(), root, t.TempDir(), args...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.vault.Stop() })
	r.connect(t)
	return r
}

// newDatabaseRig starts a PostgreSQL as well, which Vault's role readonly is for.
func newDatabaseRig(t *testing.T) (*rig, *stack.Postgres) {
	t.Helper()
	p, err := stack.StartPostgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return newRig(t, "--postgres", p.DSN()), p
}

// connect makes a new client, as a restart of the gateway would.
func (r *rig) connect(t *testing.T) {
	t.Helper()
	r.connectTo(t, "secret")
}

// connectTo is connect with the lease registry on a mount.
func (r *rig) connectTo(t *testing.T, mount string) {
	t.Helper()
	path, err := call.ParsePath("mcp/.leases")
	if err != nil {
		t.Fatal(err)
	}
	r.client, err = vault.New(vault.Config{
		Addr: r.vault.Addr, Login: vault.Login{Token: call.Secret(r.vault.Token)}, Timeout: 20 * time.Second,
		Registry: leases.Location{Mount: mount, Path: path},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func catalogue(t *testing.T) *op.Catalogue {
	t.Helper()
	c, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh", PKI: "pki", TOTP: "totp", Creds: "brokers", Explain: known})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// known explains one decision of everybody's.
func known(_ context.Context, _ *call.Caller, id string) (ops.Explanation, error) {
	if id != "known" {
		return ops.Explanation{}, call.Errorf(call.NotFound, "not found")
	}
	return ops.Explanation{DecisionID: id, Allow: true, Reasons: []op.Reason{{Code: "x"}}}, nil
}

func caller(subject string) *call.Caller {
	prefix, err := call.ParsePath("mcp/" + subject)
	if err != nil {
		panic(err)
	}
	return &call.Caller{Subject: subject, Prefix: prefix, Method: call.APIKey}
}

// do binds, opens and runs a call of agent's, and decodes its result.
func (r *rig) do(ctx context.Context, name, args string) (map[string]any, error) {
	return r.as(ctx, caller("agent"), call.Terms{}, name, args)
}

// as is do for any caller and terms; the resource is the call's own.
func (r *rig) as(ctx context.Context, c *call.Caller, terms call.Terms, name, args string) (map[string]any, error) {
	return r.send(ctx, c, terms, &op.Request{Op: name, Args: []byte(args), Caller: c})
}

func (r *rig) send(ctx context.Context, c *call.Caller, terms call.Terms, q *op.Request) (map[string]any, error) {
	b, err := r.catalogue.Bind(q)
	if err != nil {
		return nil, err
	}
	if parts := b.Parts(); parts != nil {
		return r.each(ctx, c, terms, b)
	}
	terms.Op, terms.Resource = q.Op, b.Resource
	s, err := r.client.Open(ctx, call.Mint(c, terms))
	if err != nil {
		return nil, err
	}
	out, err := b.Run(ctx, s)
	if err != nil {
		return nil, err
	}
	// No call sends what Vault does not know: its warning would reach the caller.
	if all := strings.Join(s.Warnings(), "; "); strings.Contains(all, "unrecognized") {
		return nil, fmt.Errorf("%s: %s", q.Op, all)
	}
	raw, err := op.Encode(out)
	if err != nil {
		return nil, err
	}
	if raw, err = op.WithWarnings(raw, s.Warnings()); err != nil {
		return nil, err
	}
	var result map[string]any
	return result, json.Unmarshal(raw, &result)
}

// warned is as of agent's that has to succeed, with what was warned of.
func (r *rig) warned(t *testing.T, terms call.Terms, name, args string) (map[string]any, []string) {
	t.Helper()
	b, err := r.catalogue.Bind(&op.Request{Op: name, Args: []byte(args), Caller: caller("agent")})
	if err != nil {
		t.Fatal(err)
	}
	terms.Op, terms.Resource = name, b.Resource
	s, err := r.client.Open(t.Context(), call.Mint(caller("agent"), terms))
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := op.Encode(out)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = op.WithWarnings(raw, s.Warnings()); err != nil {
		t.Fatal(err)
	}
	var result map[string]any
	if err := json.Unmarshal(raw, &result); err != nil {
		t.Fatal(err)
	}
	schema, err := r.catalogue.Get(name).Out.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(result); err != nil {
		t.Errorf("the result does not follow its schema: %v", err)
	}
	return result, s.Warnings()
}

// each does the calls that one stands for.
func (r *rig) each(ctx context.Context, c *call.Caller, terms call.Terms, b *op.Bound) (map[string]any, error) {
	var parts []op.Part
	for _, q := range b.Parts() {
		out, err := r.send(ctx, c, terms, q)
		raw, _ := json.Marshal(out)
		parts = append(parts, op.Part{Body: raw, Err: call.AsError(err)})
	}
	raw, err := op.Encode(b.Gather(parts))
	if err != nil {
		return nil, err
	}
	var result map[string]any
	return result, json.Unmarshal(raw, &result)
}

// must is do that has to succeed.
func (r *rig) must(t *testing.T, name, args string) map[string]any {
	t.Helper()
	out, err := r.do(t.Context(), name, args)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

// wantCode checks the code of a refusal.
func wantCode(t *testing.T, err error, want call.Code) {
	t.Helper()
	if !call.Is(err, want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// admin writes to Vault with the root token.
func (r *rig) admin(t *testing.T, path, body string) {
	t.Helper()
	r.ask(t, "POST", path, body)
}

func (r *rig) ask(t *testing.T, method, path, body string) {
	t.Helper()
	if status, err := r.vault.Send(t.Context(), method, path, body); err != nil || status >= 300 {
		t.Fatalf("%s: status %d, %v", path, status, err)
	}
}

// vaultRequests is how many requests Vault has seen.
func vaultRequests(t *testing.T, r *rig) int {
	t.Helper()
	raw, err := os.ReadFile(r.vault.AuditFile)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(raw, []byte(`"type":"request"`))
}
