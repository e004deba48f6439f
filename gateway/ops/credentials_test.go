package ops_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/leases"
)

// plugin answers as Vault does for a database whose plugin makes other credentials than
// passwords. No such plugin runs here.
func plugin(t *testing.T, data string) *rig {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/database/creds/x":
			_, _ = fmt.Fprintf(w, `{"request_id":"1","lease_id":"database/creds/x/1","lease_duration":60,"renewable":true,"data":%s}`, data)
		case "/v1/database/static-creds/x":
			_, _ = fmt.Fprintf(w, `{"request_id":"1","data":%s}`, data)
		default: // the lease registry
			_, _ = io.WriteString(w, `{"request_id":"1","data":{"keys":[],"version":1}}`)
		}
	}))
	t.Cleanup(srv.Close)
	path, err := call.ParsePath("mcp/.leases")
	if err != nil {
		t.Fatal(err)
	}
	cl, err := vault.New(vault.Config{Addr: srv.URL, Login: vault.Login{Token: "own"}, Timeout: 5 * time.Second, Registry: leases.Location{Mount: "secret", Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{client: cl, catalogue: catalogue(t)}
}

// TestEveryKindOfCredentialIsKept: whatever Vault has made for a user reaches the
// caller, under its own name or, when it is not known, in extra.
func TestEveryKindOfCredentialIsKept(t *testing.T) {
	for name, tc := range map[string]struct{ data, want string }{
		"password":           {`{"username":"u","password":"p"}`, "password:p"},
		"RSA key":            {`{"username":"u","rsa_private_key":"-----BEGIN"}`, "rsa_private_key:-----BEGIN"},
		"client certificate": {`{"username":"u","client_certificate":"C","private_key":"K","private_key_type":"ec"}`, "client_certificate:C"},
		"another":            {`{"username":"u","token":"T","nested":{"n":12345678901234567890}}`, "extra:map[nested:map[n:1.2345678901234567e+19] token:T]"},
	} {
		t.Run(name, func(t *testing.T) {
			r := plugin(t, tc.data)
			out := fmt.Sprint(r.must(t, "db.issue_creds", `{"role":"x"}`))
			for _, want := range []string{tc.want, "username:u", "lease_duration:60", "expires:20"} {
				if !strings.Contains(out, want) {
					t.Errorf("issued: got %s, want %s", out, want)
				}
			}
			r = plugin(t, tc.data[:len(tc.data)-1]+`,"ttl":5,"last_vault_rotation":"t"}`)
			if out := fmt.Sprint(r.must(t, "db.static_creds", `{"role":"x"}`)); !strings.Contains(out, tc.want) || !strings.Contains(out, "ttl:5") {
				t.Errorf("static: got %s, want %s", out, tc.want)
			}
		})
	}
}

// TestCredentialsAreSecret: none of them is in a log or in a masked answer.
func TestCredentialsAreSecret(t *testing.T) {
	r := plugin(t, `{"username":"u","rsa_private_key":"canary-1","client_certificate":"canary-2","private_key":"canary-3","token":"canary-4"}`)
	b, err := r.catalogue.Bind(&op.Request{Op: "db.issue_creds", Args: []byte(`{"role":"x"}`), Caller: caller("agent")})
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.client.Open(t.Context(), call.Mint(caller("agent"), call.Terms{Op: "db.issue_creds", Resource: b.Resource}))
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	masked, err := op.EncodeMasked(out)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %s", out, out, masked); strings.Contains(text, "canary") {
		t.Errorf("shown: %s", text)
	}
	var learned []string
	op.Secrets(out, func(s ...string) { learned = append(learned, s...) })
	if len(learned) < 4 {
		t.Errorf("the redactor learns %v", learned)
	}
}

// Credentials with nothing to log in with are no success.
func TestUserWithoutCredentials(t *testing.T) {
	r := plugin(t, `{"username":"u"}`)
	_, err := r.do(t.Context(), "db.issue_creds", `{"role":"x"}`)
	wantCode(t, err, call.OutcomeUnknown)
	_, err = r.do(t.Context(), "db.static_creds", `{"role":"x"}`)
	wantCode(t, err, call.VaultError)
}
