package vault_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/vault"
)

// strange are answers with a status that no caller may take for what was asked for.
func strange() map[string]struct {
	status int
	body   string
} {
	type reply = struct {
		status int
		body   string
	}
	return map[string]reply{
		"nothing":                   {200, ""},
		"no content":                {204, ""},
		"empty object":              {200, `{}`},
		"null":                      {200, `null`},
		"a list":                    {200, `[]`},
		"a text":                    {200, `"ok"`},
		"half of it":                {200, `{"request_id":"1","data":{"version":`},
		"errors":                    {200, `{"errors":["no"]}`},
		"errors beside data":        {200, `{"request_id":"1","errors":["no"],"data":{"version":1,"created_time":"t","data":{"value":"v"},"keys":["a"],"username":"u"}}`},
		"data is null":              {200, `{"request_id":"1","data":null}`},
		"data is a text":            {200, `{"request_id":"1","data":"x"}`},
		"data is empty":             {200, `{"request_id":"1","data":{}}`},
		"no data":                   {200, `{"request_id":"1"}`},
		"data of something else":    {200, `{"request_id":"1","data":{"x":1}}`},
		"no request_id":             {200, `{"data":{"version":1,"data":{"value":"v"},"keys":["a"],"username":"u"}}`},
		"a page":                    {200, `<html><body>Welcome</body></html>`},
		"a page, accepted":          {202, `<html>`},
		"a page, not found":         {404, `<html>404</html>`},
		"a page, denied":            {403, `<html>403</html>`},
		"a page, bad request":       {400, `<html>400</html>`},
		"another service's 404":     {404, `{"message":"no route"}`},
		"another service's null":    {404, `null`},
		"a page, internal error":    {500, `<html>500</html>`},
		"a page, not to be had":     {418, `teapot`},
		"another service's failure": {500, `{"error":{"message":"x"}}`},
	}
}

type versioned struct {
	Version int `json:"version"`
}

// Complete implements vault.Reply.
func (v *versioned) Complete() bool { return v.Version > 0 }

type listed struct {
	Keys []string `json:"keys"`
}

// Complete implements vault.Reply.
func (l *listed) Complete() bool { return l.Keys != nil }

func TestAnswersThatLackWhatIsNeeded(t *testing.T) { overBoth(t, testAnswersThatLackWhatIsNeeded) }

func testAnswersThatLackWhatIsNeeded(t *testing.T) {
	for name, tc := range strange() {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			cl := stub(t, vault.Config{}, func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			c := caller("odd")
			if _, err := read(t, cl, c); !call.Is(err, call.VaultError) {
				t.Errorf("read: got %v, want vault_error", err)
			}
			if err := open(t, cl, grant(c, "kv.list")).List(t.Context(), "metadata/x", &listed{}); !call.Is(err, call.VaultError) {
				t.Errorf("list: got %v, want vault_error", err)
			}
			if err := open(t, cl, grant(c, "transit.decrypt")).Query(t.Context(), "decrypt/x", nil, &versioned{}); !call.Is(err, call.VaultError) {
				t.Errorf("what changes nothing: got %v, want vault_error", err)
			}
			before := requests.Load()
			if err := open(t, cl, grant(c, "kv.write")).Put(t.Context(), "data/x", map[string]any{}, &versioned{}); !call.Is(err, call.OutcomeUnknown) {
				t.Errorf("write: got %v, want outcome_unknown", err)
			}
			if err := open(t, cl, grant(c, "db.issue_creds")).Mint(t.Context(), "creds/x", &issued{}); !call.Is(err, call.OutcomeUnknown) {
				t.Errorf("mint: got %v, want outcome_unknown", err)
			}
			if n := requests.Load() - before; n != 2 {
				t.Errorf("two changes were sent %d times", n)
			}
		})
	}
}

// Where nothing is needed of an answer, it must still be one of Vault's.
func TestAnswersWithNothingInThem(t *testing.T) { overBoth(t, testAnswersWithNothingInThem) }

func testAnswersWithNothingInThem(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   call.Code
	}{
		"no content":    {204, "", ""},
		"a warning":     {200, `{"request_id":"1","data":null,"warnings":["w"]}`, ""},
		"nothing":       {200, "", call.OutcomeUnknown},
		"empty object":  {200, `{}`, call.OutcomeUnknown},
		"a page":        {200, `<html>`, call.OutcomeUnknown},
		"errors":        {200, `{"request_id":"1","errors":["no"]}`, call.OutcomeUnknown},
		"a page, moved": {502, `<html>`, call.OutcomeUnknown},
		"Envoy, reset":  {503, `upstream connect error or disconnect/reset before headers`, call.OutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			cl := stub(t, vault.Config{}, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			err := open(t, cl, grant(caller("d"), "kv.delete")).Delete(t.Context(), "data/x")
			if codeOf(err) != tc.want {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// A lease that came without its credentials is not left behind.
func TestMintWithoutCredentialsIsTakenBack(t *testing.T) {
	overBoth(t, testMintWithoutCredentialsIsTakenBack)
}

func testMintWithoutCredentialsIsTakenBack(t *testing.T) {
	var revoked atomic.Int64
	cl := stub(t, vault.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/sys/leases/revoke" {
			revoked.Add(1)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, `{"request_id":"1","lease_id":"database/creds/readonly/1","lease_duration":60,"data":{"password":"p"}}`)
	})
	err := open(t, cl, dbGrant(caller("m"), "db.issue_creds", 0)).Mint(t.Context(), "creds/readonly", &issued{})
	if !call.Is(err, call.OutcomeUnknown) || revoked.Load() != 1 {
		t.Errorf("got %v, and %d leases were revoked", err, revoked.Load())
	}
}

// Credentials without a lease would live for ever.
func TestMintWithoutLeaseIsNoSuccess(t *testing.T) { overBoth(t, testMintWithoutLeaseIsNoSuccess) }

func testMintWithoutLeaseIsNoSuccess(t *testing.T) {
	for lease, revokes := range map[string]int64{
		``: 0, `"lease_id":"database/creds/readonly/1",`: 1, `"lease_id":"database/creds/readonly/1","lease_duration":-1,`: 1,
		`"lease_id":"database/creds/readonly/1","lease_duration":9223372036854775807,`: 1, // a moment long past, when it is added to now
	} {
		var revoked atomic.Int64
		cl := stub(t, vault.Config{}, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "sys/leases/revoke") {
				revoked.Add(1)
				w.WriteHeader(http.StatusNoContent)
				return
			}
			_, _ = io.WriteString(w, `{"request_id":"1",`+lease+`"data":{"username":"u","password":"p"}}`)
		})
		err := open(t, cl, dbGrant(caller("m"), "db.issue_creds", 0)).Mint(t.Context(), "creds/readonly", &issued{})
		if !call.Is(err, call.OutcomeUnknown) || revoked.Load() != revokes {
			t.Errorf("%s: got %v and %d revocations, want outcome_unknown and %d", lease, err, revoked.Load(), revokes)
		}
	}
}
