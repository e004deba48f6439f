package pipeline_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/pipeline"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/vaulttest"
)

// realVault is a pipeline with the real operations and a real Vault; every call is
// allowed with the given form.
func realVault(t *testing.T, v *vaulttest.Vault, form call.Deliver, finish pipeline.Finish) *pipeline.Pipeline {
	return vaultWith(t, v, call.Terms{Deliver: form}, finish)
}

// vaultWith is realVault with everything that a decision says of the result.
func vaultWith(t *testing.T, v *vaulttest.Vault, terms call.Terms, finish pipeline.Finish) *pipeline.Pipeline {
	t.Helper()
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	client, err := vault.New(vault.Config{Addr: v.Addr, Login: vault.Login{RoleID: v.RoleID, SecretID: call.Secret(v.SecretID)}})
	if err != nil {
		t.Fatal(err)
	}
	none := func(*op.Record) error { return nil }
	return &pipeline.Pipeline{
		Ops: cat,
		Decide: func(_ context.Context, b *op.Bound) op.Decision {
			return op.Decision{ID: "d1", Allow: true, Grant: call.Mint(b.Caller, call.Terms{
				DecisionID: "d1", Op: b.Op.Name, Resource: b.Resource, WrapTTL: time.Minute,
				Deliver: terms.Deliver, Masked: terms.Masked, Fields: terms.Fields,
			})}
		},
		Take: func(*op.Bound, *op.Decision) error { return nil }, Intent: none, Refusal: none, Outcome: none,
		Plan: func(*op.Bound, *op.Decision) (pipeline.Finish, error) { return finish, nil },
		Open: client.Open, Undo: ops.Undo, Log: func(context.Context, *op.Record) {},
	}
}

func TestDeliver(t *testing.T) {
	v := vaulttest.Start(t)
	v.Write("secret/data/mcp/app", map[string]any{"data": map[string]string{"password": canary}})
	wraps := pipeline.Finish{Apply: func(_ *op.Record, b []byte) ([]byte, error) { return append(b[:len(b)-1], `,"seen":true}`...), nil }}
	cases := map[string]struct {
		op, args string
		form     call.Deliver
		finish   pipeline.Finish
		want     string // in the answer
		path     string // where it was wrapped, empty for not at all
		inside   string // in what is unwrapped
	}{
		"plain read":               {op: "kv.read", args: `{"path":"app"}`, form: call.Plain, want: `"password":"` + canary},
		"masked read":              {op: "kv.read", args: `{"path":"app"}`, form: call.Masked, want: `"data":{"password":null}`},
		"wrapped read":             {op: "kv.read", args: `{"path":"app"}`, form: call.Wrapped, path: "secret/data/mcp/app", inside: canary},
		"wrapped read, transforms": {op: "kv.read", args: `{"path":"app"}`, form: call.Wrapped, finish: wraps, path: "sys/wrapping/wrap", inside: `"seen":true`},
		"wrapped write":            {op: "kv.write", args: `{"path":"new","data":{"password":"` + canary + `"}}`, form: call.Wrapped, path: "sys/wrapping/wrap", inside: `"version":1`},
		"wrapped password":         {op: "ssh.otp", args: `{"role":"otp","ip":"127.0.0.1"}`, form: call.Wrapped, path: "sys/wrapping/wrap", inside: `"otp"`},
		"wrapped text":             {op: "ssh.public_key", args: `{}`, form: call.Wrapped, path: "sys/wrapping/wrap", inside: "ssh-ed25519"},
		"nothing of Vault's":       {op: "self.whoami", args: `{}`, form: call.Wrapped, want: `"subject":"app"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := realVault(t, v, tc.form, tc.finish)
			prefix, err := call.ParsePath("mcp")
			if err != nil {
				t.Fatal(err)
			}
			res, err := p.Do(t.Context(), &op.Request{ID: "r", Op: tc.op, Args: []byte(tc.args), Caller: &call.Caller{Subject: "app", Prefix: prefix}})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(res.Body), tc.want) || tc.form != call.Plain && strings.Contains(string(res.Body), canary) {
				t.Errorf("got %s, want %q in it", res.Body, tc.want)
			}
			if tc.path != "" {
				unwrap(t, v, res.Body, tc.path, tc.inside)
			}
		})
	}
}

// unwrap opens a wrapped answer, which must work once.
func unwrap(t *testing.T, v *vaulttest.Vault, body []byte, path, inside string) {
	t.Helper()
	var w struct {
		WrapInfo map[string]any `json:"wrap_info"`
	}
	if err := json.Unmarshal(body, &w); err != nil || len(w.WrapInfo) != 3 || w.WrapInfo["creation_path"] != path || w.WrapInfo["ttl"] != 60.0 {
		t.Fatalf("got %s, %v; want token, ttl 60 and creation_path %s alone", body, err, path)
	}
	token, _ := w.WrapInfo["token"].(string)
	var opened json.RawMessage
	if status := v.Do(vaulttest.Request{Token: token, Method: http.MethodPost, Path: "sys/wrapping/unwrap", Body: map[string]any{}}, &opened); status != http.StatusOK || !strings.Contains(string(opened), inside) {
		t.Errorf("unwrapped: status %d, %q is not in it", status, inside)
	}
	if status := v.Do(vaulttest.Request{Token: token, Method: http.MethodPost, Path: "sys/wrapping/unwrap", Body: map[string]any{}}, nil); status < 400 {
		t.Errorf("unwrapped a second time: status %d", status)
	}
}

func TestWrappingThatFailsDeliversNothing(t *testing.T) {
	v := vaulttest.Start(t)
	v.Write("sys/policies/acl/gateway", map[string]string{"policy": `path "secret/*" { capabilities = ["create", "read", "update"] } path "sys/wrapping/wrap" { capabilities = ["deny"] }`})
	p := realVault(t, v, call.Wrapped, pipeline.Finish{})
	prefix, err := call.ParsePath("mcp")
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Do(t.Context(), &op.Request{ID: "r", Op: "kv.write", Args: []byte(`{"path":"a","data":{"k":"` + canary + `"}}`), Caller: &call.Caller{Subject: "app", Prefix: prefix}})
	if !call.Is(err, call.TransformFailed) || len(res.Body) > 0 {
		t.Errorf("got %s, %v; want transform_failed", res.Body, err)
	}
}

// What is wrapped is what would have been shown, whoever wraps it.
func TestWrappedContentIsWhatMayBeSeen(t *testing.T) {
	v := vaulttest.Start(t)
	v.Write("secret/data/mcp/app", map[string]any{"data": map[string]string{"password": canary, "user": "bob"}})
	cases := map[string]struct {
		op, args string
		terms    call.Terms
		want     string // in what is unwrapped
	}{
		"masked read":          {"kv.read", `{"path":"app"}`, call.Terms{Deliver: call.Wrapped, Masked: true}, `"password":null`},
		"masked password":      {"ssh.otp", `{"role":"otp","ip":"127.0.0.1"}`, call.Terms{Deliver: call.Wrapped, Masked: true}, `"otp":"[masked]"`},
		"some fields":          {"kv.read", `{"path":"app"}`, call.Terms{Deliver: call.Wrapped, Fields: call.OnlyFields([]string{"user"})}, `"data":{"user":"bob"}`},
		"no field":             {"kv.read", `{"path":"app"}`, call.Terms{Deliver: call.Wrapped, Fields: call.OnlyFields([]string{})}, `"data":{}`},
		"some fields, masked":  {"kv.read", `{"path":"app"}`, call.Terms{Deliver: call.Wrapped, Masked: true, Fields: call.OnlyFields([]string{"user"})}, `"data":{"user":null}`},
		"fields of no secret":  {"ssh.otp", `{"role":"otp","ip":"127.0.0.1"}`, call.Terms{Deliver: call.Wrapped, Fields: call.OnlyFields([]string{"user"})}, `"otp":"[masked]"`},
		"structure in part":    {"kv.subkeys", `{"path":"app"}`, call.Terms{Deliver: call.Wrapped, Fields: call.OnlyFields([]string{"user"})}, `"subkeys":{"user":null}`},
		"what may be seen all": {"kv.read", `{"path":"app"}`, call.Terms{Deliver: call.Wrapped}, canary},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			opened := unwrapped(t, v, does(t, vaultWith(t, v, tc.terms, pipeline.Finish{}), tc.op, tc.args))
			if !strings.Contains(opened, tc.want) || tc.want != canary && strings.Contains(opened, canary) {
				t.Errorf("unwrapped: %q is in it %v, the secret %v", tc.want, strings.Contains(opened, tc.want), strings.Contains(opened, canary))
			}
		})
	}
}

func TestOnlyTheNamedFieldsAreShown(t *testing.T) {
	v := vaulttest.Start(t)
	v.Write("secret/data/mcp/app", map[string]any{"data": map[string]any{"password": canary, "user": "bob", "port": 5432}})
	body := string(does(t, vaultWith(t, v, call.Terms{Deliver: call.Plain, Fields: call.OnlyFields([]string{"user", "port", "host"})}, pipeline.Finish{}), "kv.read", `{"path":"app"}`))
	if !strings.Contains(body, `"data":{"port":5432,"user":"bob"}`) || strings.Contains(body, "password") {
		t.Errorf("got %s", body)
	}
}

// does does one call of the subject app, which must succeed.
func does(t *testing.T, p *pipeline.Pipeline, operation, args string) []byte {
	t.Helper()
	prefix, err := call.ParsePath("mcp")
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Do(t.Context(), &op.Request{ID: "r", Op: operation, Args: []byte(args), Caller: &call.Caller{Subject: "app", Prefix: prefix}})
	if err != nil {
		t.Fatal(err)
	}
	return res.Body
}

// unwrapped is what the token of a wrapped answer opens.
func unwrapped(t *testing.T, v *vaulttest.Vault, body []byte) string {
	t.Helper()
	var w struct {
		WrapInfo struct{ Token string } `json:"wrap_info"`
	}
	if err := json.Unmarshal(body, &w); err != nil || w.WrapInfo.Token == "" {
		t.Fatalf("not wrapped: %v", err)
	}
	var opened json.RawMessage
	if status := v.Do(vaulttest.Request{Token: w.WrapInfo.Token, Method: http.MethodPost, Path: "sys/wrapping/unwrap", Body: map[string]any{}}, &opened); status != http.StatusOK {
		t.Fatalf("unwrapping: status %d", status)
	}
	return string(opened)
}
