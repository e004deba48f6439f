// Package opstest has a call of every operation, for tests that must not forget
// one: the operations themselves, and every transport in front of them.
package opstest

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Marker is in every secret that the calls send, so that it can be looked for
// where secrets do not belong.
const Marker = "s3cr3t-marker"

// PublicKey is a public key whose private half nobody has.
const PublicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGXvXBeJ0fPzJYVvW4VvgHnGZrKp8nGZDcQ7jPjA4QxZ"

// CSR is a certificate request, as it stands in a JSON text, whose private key nobody has.
const CSR = `-----BEGIN CERTIFICATE REQUEST-----\nMIHVMH0CAQAwGzEZMBcGA1UEAwwQYXBwLmV4YW1wbGUudGVzdDBZMBMGByqGSM49\nAgEGCCqGSM49AwEHA0IABJnN9mN8meETsfxko2wOFK29Re8TtF8QlJrpJF0hfgoX\nDAVKescO/5EDY5FNU3hbMIipc56rf7SN8DaQS4NpqGKgADAKBggqhkjOPQQDAgNI\nADBFAiEA9tS6K4b1LjOJaMsE3kRfHA3yyVhMS1JqdzxdZuwQz0oCIDMW60pXkfyZ\n6pzALGxVnq0gf8ML0yxtjDCFpjSKj+M9\n-----END CERTIFICATE REQUEST-----\n`

// Call is a call of an operation.
type Call struct {
	Op   string
	Args string // JSON; ${NAME} stands for what an earlier call has saved
	Save string // the fields of the result that are saved under their own names, with blanks between them
	Want string // a part of the result as Go prints it, empty for any
}

// Arguments are the arguments with what earlier calls have saved.
func (c Call) Arguments(saved map[string]string) string {
	return os.Expand(c.Args, func(name string) string { return saved[name] })
}

// Keep saves what later calls need.
func (c Call) Keep(saved map[string]string, out map[string]any) {
	for name := range strings.FieldsSeq(c.Save) {
		quoted, _ := json.Marshal(fmt.Sprint(out[name])) // texts cannot fail
		saved[name] = strings.Trim(string(quoted), `"`)
	}
}

// Calls are in an order in which they work, on a development Vault with a PostgreSQL and
// what Static adds. path is that of the secret. The one of self.explain needs a
// decision_id that the caller of Calls has saved. What opens wrapped answers is not among
// them.
func Calls(path string) []Call {
	code := fmt.Sprintf("%06d", len(path)) // Vault takes none twice within half a minute, a wrong one neither
	return []Call{
		{Op: "self.whoami", Args: `{}`},
		{Op: "self.echo", Args: `{}`, Want: "headers:map["},
		{Op: "self.explain", Args: `{"decision_id":"${decision_id}"}`, Want: "allow:true"},
		{Op: "kv.write", Args: `{"path":"` + path + `","data":{"password":"` + Marker + `"},"cas":0}`, Want: "version:1"},
		{Op: "kv.read", Args: `{"path":"` + path + `","version":1}`, Want: Marker},
		{Op: "kv.patch", Args: `{"path":"` + path + `","data":{"user":"` + Marker + `"},"cas":1}`, Want: "version:2"},
		{Op: "kv.read_many", Args: `{"paths":["` + path + `","` + path + `-absent"]}`, Want: "code:not_found"},
		{Op: "kv.list", Args: `{}`, Want: path},
		{Op: "kv.set_metadata", Args: `{"path":"` + path + `","custom_metadata":{"owner":"payments"}}`, Want: "owner:payments"},
		{Op: "kv.metadata", Args: `{"path":"` + path + `"}`, Want: "current_version:2"},
		{Op: "kv.subkeys", Args: `{"path":"` + path + `","depth":1}`, Want: "map[password:<nil> user:<nil>]"},
		{Op: "kv.delete", Args: `{"path":"` + path + `"}`},
		{Op: "kv.undelete", Args: `{"path":"` + path + `","versions":[2]}`, Want: "ok:true"},
		{Op: "kv.destroy", Args: `{"path":"` + path + `","versions":[1]}`, Want: "ok:true"},
		{Op: "transit.encrypt", Args: `{"key":"mcp","plaintext":"` + Marker + `","encoding":"text"}`, Save: "ciphertext", Want: "vault:v1:"},
		{Op: "transit.decrypt", Args: `{"key":"mcp","ciphertext":"${ciphertext}","encoding":"text"}`, Want: Marker},
		{Op: "transit.rewrap", Args: `{"key":"mcp","ciphertext":"${ciphertext}"}`, Want: "vault:v1:"},
		{Op: "transit.sign", Args: `{"key":"signing","input":"` + Marker + `","encoding":"text"}`, Save: "signature", Want: "vault:v1:"},
		{Op: "transit.public_key", Args: `{"key":"signing"}`, Want: "BEGIN PUBLIC KEY"},
		{Op: "transit.verify", Args: `{"key":"signing","input":"` + Marker + `","encoding":"text","signature":"${signature}"}`, Want: "valid:true"},
		{Op: "transit.hmac", Args: `{"key":"mcp","input":"` + Marker + `","encoding":"text"}`, Want: "vault:v1:"},
		{Op: "transit.datakey", Args: `{"key":"mcp","type":"plaintext"}`, Want: "plaintext:"},
		{Op: "transit.random", Args: `{"bytes":16}`, Want: "format:base64"},
		{Op: "transit.hash", Args: `{"input":"abc","encoding":"text"}`, Want: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{Op: "db.issue_creds", Args: `{"role":"readonly"}`, Save: "lease_id", Want: "password:"},
		{Op: "db.static_creds", Args: `{"role":"rotated"}`, Want: "username:rotated"},
		{Op: "db.leases", Args: `{}`, Want: "database/creds/readonly/"},
		{Op: "db.renew", Args: `{"lease_id":"${lease_id}","increment":120}`, Want: "lease_duration:120"},
		{Op: "db.revoke", Args: `{"lease_id":"${lease_id}"}`, Want: "ok:true"},
		{Op: "ssh.otp", Args: `{"role":"otp","ip":"127.0.0.1","username":"dev"}`, Want: "otp:"},
		{Op: "ssh.sign", Args: `{"role":"ca","public_key":"` + PublicKey + `","valid_principals":"dev"}`, Want: "ssh-ed25519-cert-v01@openssh.com"},
		{Op: "ssh.public_key", Args: `{}`, Want: "ssh-ed25519 "},
		{Op: "pki.issue", Args: `{"role":"web","common_name":"app.example.test","ttl":"10m"}`, Save: "certificate private_key", Want: "BEGIN CERTIFICATE"},
		{Op: "pki.sign", Args: `{"role":"web","common_name":"app.example.test","csr":"` + CSR + `"}`, Want: "BEGIN CERTIFICATE"},
		{Op: "pki.revoke", Args: `{"certificate":"${certificate}","private_key":"${private_key}"}`, Want: "ok:true"},
		{Op: "pki.list", Args: `{}`, Want: "revoked:"},
		{Op: "pki.ca", Args: `{}`, Want: "BEGIN CERTIFICATE"},
		{Op: "pki.crl", Args: `{}`, Want: "BEGIN X509 CRL"},
		{Op: "totp.code", Args: `{"key":"login"}`, Want: "code:"},
		{Op: "totp.verify", Args: `{"key":"login","code":"` + code + `"}`, Want: "valid:"},
		{Op: "creds.issue", Args: `{"role":"readonly"}`, Save: "lease_id", Want: "password:"},
		{Op: "creds.renew", Args: `{"lease_id":"${lease_id}","increment":120}`, Want: "lease_duration:120"},
		{Op: "creds.revoke", Args: `{"lease_id":"${lease_id}"}`, Want: "ok:true"},
	}
}

// Static are the requests to Vault, as method, path and body, that make the static
// role "rotated" and a second database engine "brokers" of a PostgreSQL.
func Static(dsn string) [][3]string {
	return [][3]string{
		{"POST", "sys/mounts/brokers", `{"type":"database"}`},
		{"PUT", "brokers/config/postgres", `{"plugin_name":"postgresql-database-plugin","allowed_roles":"*","connection_url":"` + dsn + `"}`},
		{"PUT", "brokers/roles/readonly", `{"db_name":"postgres","default_ttl":"1h","creation_statements":["CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}'"]}`},
		{"PUT", "database/roles/maker", `{"db_name":"postgres","creation_statements":["CREATE ROLE rotated WITH LOGIN; CREATE ROLE \"{{name}}\" PASSWORD '{{password}}';"]}`},
		{"GET", "database/creds/maker", ""},
		{"PUT", "database/static-roles/rotated", `{"db_name":"postgres","username":"rotated","rotation_period":"1h"}`},
	}
}

// Field is an argument that names something: a call with a value that is no clean
// name must be refused before anything is sent to Vault.
type Field struct {
	Op, Name string
	Args     string // JSON; ? stands for the value
	Path     bool   // slashes are fine
	Free     bool   // so is every character that Vault allows in a name
	Empty    bool   // empty is fine
}

// Fields are the arguments of all operations that name something.
func Fields() []Field {
	fields := []Field{
		{Op: "kv.write", Name: "path", Args: `{"path":?,"data":{}}`, Path: true, Free: true},
		{Op: "kv.patch", Name: "path", Args: `{"path":?,"data":{}}`, Path: true, Free: true},
		{Op: "kv.undelete", Name: "path", Args: `{"path":?,"versions":[1]}`, Path: true, Free: true},
		{Op: "kv.destroy", Name: "path", Args: `{"path":?,"versions":[1]}`, Path: true, Free: true},
		{Op: "kv.set_metadata", Name: "path", Args: `{"path":?,"max_versions":3}`, Path: true, Free: true},
		{Op: "kv.list", Name: "prefix", Args: `{"prefix":?}`, Path: true, Free: true, Empty: true},
		{Op: "transit.public_key", Name: "key", Args: `{"key":?}`},
		{Op: "transit.encrypt", Name: "key", Args: `{"key":?,"plaintext":"aGk="}`},
		{Op: "transit.decrypt", Name: "key", Args: `{"key":?,"ciphertext":"vault:v1:x"}`},
		{Op: "transit.rewrap", Name: "key", Args: `{"key":?,"ciphertext":"vault:v1:x"}`},
		{Op: "transit.sign", Name: "key", Args: `{"key":?,"input":"aGk="}`},
		{Op: "transit.verify", Name: "key", Args: `{"key":?,"input":"aGk=","signature":"vault:v1:x"}`},
		{Op: "transit.hmac", Name: "key", Args: `{"key":?,"input":"aGk="}`},
		{Op: "transit.datakey", Name: "key", Args: `{"key":?}`},
		{Op: "transit.hash", Name: "algorithm", Args: `{"input":"aGk=","algorithm":?}`, Empty: true},
		{Op: "db.issue_creds", Name: "role", Args: `{"role":?}`},
		{Op: "db.static_creds", Name: "role", Args: `{"role":?}`},
		{Op: "db.renew", Name: "lease_id", Args: `{"lease_id":?}`, Path: true},
		{Op: "db.revoke", Name: "lease_id", Args: `{"lease_id":?}`, Path: true},
		{Op: "creds.renew", Name: "lease_id", Args: `{"lease_id":?}`, Path: true},
		{Op: "creds.revoke", Name: "lease_id", Args: `{"lease_id":?}`, Path: true},
		{Op: "creds.issue", Name: "role", Args: `{"role":?}`},
		{Op: "pki.issue", Name: "role", Args: `{"role":?,"common_name":"a"}`},
		{Op: "pki.issue", Name: "common_name", Args: `{"role":"web","common_name":?}`},
		{Op: "pki.sign", Name: "role", Args: `{"role":?,"common_name":"a","csr":"` + CSR + `"}`},
		{Op: "pki.sign", Name: "common_name", Args: `{"role":"web","common_name":?,"csr":"` + CSR + `"}`},
		{Op: "totp.code", Name: "key", Args: `{"key":?}`},
		{Op: "totp.verify", Name: "key", Args: `{"key":?,"code":"123456"}`},
		{Op: "ssh.otp", Name: "role", Args: `{"role":?,"ip":"127.0.0.1"}`},
		{Op: "ssh.otp", Name: "ip", Args: `{"role":"otp","ip":?}`},
		{Op: "ssh.otp", Name: "username", Args: `{"role":"otp","ip":"127.0.0.1","username":?}`},
		{Op: "ssh.sign", Name: "role", Args: `{"role":?,"public_key":"x"}`},
		{Op: "ssh.sign", Name: "valid_principals", Args: `{"role":"ca","public_key":"x","valid_principals":?}`},
		{Op: "ssh.sign", Name: "key_id", Args: `{"role":"ca","public_key":"x","key_id":?}`},
		{Op: "ssh.sign", Name: "extensions", Args: `{"role":"ca","public_key":"x","extensions":{?:""}}`},
		{Op: "ssh.sign", Name: "critical_options", Args: `{"role":"ca","public_key":"x","critical_options":{?:""}}`},
	}
	for _, name := range []string{"kv.read", "kv.delete", "kv.metadata", "kv.subkeys"} {
		fields = append(fields, Field{Op: name, Name: "path", Args: `{"path":?}`, Path: true, Free: true})
	}
	return fields
}

// Bad reports whether a value is bad for the field.
func (f Field) Bad(value string) bool {
	free := slices.Contains([]string{"a%2fb", "a?b", "a#b", " a"}, value)
	return (value != "" || !f.Empty) && (value != "a/b" || !f.Path) && !(f.Free && free)
}
