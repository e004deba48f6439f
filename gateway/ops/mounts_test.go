package ops_test

import (
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/ops"
)

// TestEnginesElsewhere: every engine works where it is, slashes in its mount included.
func TestEnginesElsewhere(t *testing.T) {
	r, p := newDatabaseRig(t)
	for path, engine := range map[string]string{"team/kv": "kv", "team/transit": "transit", "team/db": "database", "team/ssh": "ssh"} {
		body := fmt.Sprintf(`{"type":%q}`, engine)
		if engine == "kv" {
			body = `{"type":"kv","options":{"version":"2"}}`
		}
		r.admin(t, "sys/mounts/"+path, body)
	}
	r.admin(t, "team/transit/keys/mcp", `{}`)
	r.admin(t, "team/ssh/config/ca", `{"generate_signing_key":true}`)
	r.admin(t, "team/ssh/roles/ca", `{"key_type":"ca","allow_user_certificates":true,"allowed_users":"*","ttl":"5m","allow_user_key_ids":true}`)
	r.admin(t, "team/db/config/postgres", fmt.Sprintf(`{"plugin_name":"postgresql-database-plugin","allowed_roles":"*","connection_url":%q}`, p.DSN()))
	r.admin(t, "team/db/roles/readonly", `{"db_name":"postgres","default_ttl":"1h","max_ttl":"2h","creation_statements":["CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"]}`)
	var err error
	if r.catalogue, err = ops.New(ops.Mounts{KV: "team/kv", Transit: "team/transit", Database: "team/db", SSH: "team/ssh"}); err != nil {
		t.Fatal(err)
	}
	r.must(t, "kv.write", `{"path":"a/b","data":{"x":1}}`)
	if got := fmt.Sprint(r.must(t, "kv.list", `{"prefix":"a"}`)); got != "map[keys:[b]]" {
		t.Errorf("list: got %s", got)
	}
	sealed := r.must(t, "transit.encrypt", `{"key":"mcp","plaintext":"aGk="}`)["ciphertext"]
	if got := r.must(t, "transit.decrypt", fmt.Sprintf(`{"key":"mcp","ciphertext":%q}`, sealed))["plaintext"]; got != "aGk=" {
		t.Errorf("decrypt: got %v", got)
	}
	cert := r.must(t, "ssh.sign", `{"role":"ca","public_key":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGXvXBeJ0fPzJYVvW4VvgHnGZrKp8nGZDcQ7jPjA4QxZ","valid_principals":"dev"}`)
	if cert["key_id"] != "agent" || r.must(t, "ssh.public_key", `{}`)["public_key"] == "" {
		t.Errorf("sign: got %v", cert)
	}
	lease, _ := r.must(t, "db.issue_creds", `{"role":"readonly"}`)["lease_id"].(string)
	if !strings.HasPrefix(lease, "team/db/creds/readonly/") {
		t.Errorf("got lease %q", lease)
	}
	r.must(t, "db.renew", fmt.Sprintf(`{"lease_id":%q}`, lease))
	for _, other := range []string{"database" + strings.TrimPrefix(lease, "team/db"), strings.TrimPrefix(lease, "team/"), lease + "/x"} {
		_, err := r.do(t.Context(), "db.revoke", fmt.Sprintf(`{"lease_id":%q}`, other))
		wantCode(t, err, call.NotFound)
	}
	r.must(t, "db.revoke", fmt.Sprintf(`{"lease_id":%q}`, lease))
}
