package ops_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/leases"
)

// answering is a Vault that answers whatever is asked with the same, and counts what it is
// told to revoke.
func answering(t *testing.T, answer string) (r *rig, revoked *atomic.Int64) {
	t.Helper()
	revoked = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/sys/leases/revoke" {
			revoked.Add(1)
		}
		_, _ = io.WriteString(w, answer)
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
	return &rig{client: cl, catalogue: catalogue(t)}, revoked
}

// TestAnswersToAnotherQuestion: what Vault answers is for the version, the kind and the
// length that were asked for, and holds no more than may be seen.
func TestAnswersToAnotherQuestion(t *testing.T) {
	const facts = `"metadata":{"version":7,"created_time":"2026-01-01T00:00:00Z"}`
	for name, c := range map[string]struct{ op, args, data string }{
		"another version":           {"kv.read", `{"path":"app","version":3}`, `{"data":{"a":"b"},` + facts + `}`},
		"keys of another version":   {"kv.subkeys", `{"path":"app","version":3}`, `{"subkeys":{"a":null},` + facts + `}`},
		"values among keys":         {"kv.subkeys", `{"path":"app"}`, `{"subkeys":{"a":{"b":null,"c":"secret"}},` + facts + `}`},
		"a list among keys":         {"kv.subkeys", `{"path":"app"}`, `{"subkeys":{"a":[null]},` + facts + `}`},
		"the plaintext":             {"transit.encrypt", `{"key":"mcp","plaintext":"aGk="}`, `{"batch_results":[{"ciphertext":"aGk=","key_version":1}]}`},
		"no signature":              {"transit.sign", `{"key":"signing","input":"aGk="}`, `{"batch_results":[{"signature":"aGk="}]}`},
		"no HMAC":                   {"transit.hmac", `{"key":"mcp","input":"aGk="}`, `{"hmac":"aGk="}`},
		"a data key that is short":  {"transit.datakey", `{"key":"mcp","type":"plaintext"}`, `{"ciphertext":"vault:v1:x","plaintext":"AA=="}`},
		"a data key that is none":   {"transit.datakey", `{"key":"mcp","type":"plaintext"}`, `{"ciphertext":"vault:v1:x","plaintext":"%"}`},
		"few random bytes":          {"transit.random", `{"bytes":32}`, `{"random_bytes":"AA=="}`},
		"few random bytes as hex":   {"transit.random", `{"bytes":32,"format":"hex"}`, `{"random_bytes":"00"}`},
		"random bytes that are not": {"transit.random", `{"bytes":2,"format":"hex"}`, `{"random_bytes":"zzzz"}`},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := answering(t, `{"request_id":"1","data":`+c.data+`}`)
			if out, err := r.do(t.Context(), c.op, c.args); !call.Is(err, call.VaultError) && !call.Is(err, call.OutcomeUnknown) {
				t.Errorf("got %v, %v", out, err)
			}
		})
	}
}

// TestALeaseOfSomebodyElse: a lease that is not one of the role that was asked for is
// neither given to the caller nor revoked.
func TestALeaseOfSomebodyElse(t *testing.T) {
	for _, id := range []string{"auth/token/create/h1", "database/creds/other/1", "aws/creds/readonly/1", "database/creds/readonly/../other/1", "database/creds/readonly/", `database/creds/readonly/a\n`} {
		t.Run(id, func(t *testing.T) {
			answer := fmt.Sprintf(`{"request_id":"1","lease_id":"%s","lease_duration":60,"renewable":true,"data":{"username":"u","password":"p","version":1,"keys":[]}}`, id)
			r, revoked := answering(t, answer)
			if out, err := r.do(t.Context(), "db.issue_creds", `{"role":"readonly"}`); !call.Is(err, call.OutcomeUnknown) || revoked.Load() > 0 {
				t.Errorf("got %v, %v, %d revoked", out, err, revoked.Load())
			}
		})
	}
}
