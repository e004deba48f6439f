package ops_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/ops/opstest"
)

// mistake is a call that Vault refuses, with what the caller is told.
type mistake struct{ op, args, code, says string }

func mistakes() map[string]mistake {
	long := base64.StdEncoding.EncodeToString(make([]byte, 600))
	key := `"public_key":"` + opstest.PublicKey + `"`
	return map[string]mistake{
		"encrypt, no key":            {"transit.encrypt", `{"key":"none","plaintext":"aGk="}`, "not_found", "no key of this name"},
		"decrypt, no key":            {"transit.decrypt", `{"key":"none","ciphertext":"vault:v1:AAAA"}`, "not_found", "no key"},
		"rewrap, no key":             {"transit.rewrap", `{"key":"none","ciphertext":"vault:v1:AAAA"}`, "not_found", "no key"},
		"sign, no key":               {"transit.sign", `{"key":"none","input":"aGk="}`, "not_found", "no key"},
		"verify, no key":             {"transit.verify", `{"key":"none","input":"aGk=","signature":"vault:v1:AAAA"}`, "not_found", "no key"},
		"hmac, no key":               {"transit.hmac", `{"key":"none","input":"aGk="}`, "not_found", "no key"},
		"datakey, no key":            {"transit.datakey", `{"key":"none"}`, "not_found", "no key"},
		"batch, no key":              {"transit.encrypt", `{"key":"none","items":[{"plaintext":"aGk="}]}`, "not_found", "no key"},
		"plaintext":                  {"transit.encrypt", `{"key":"mcp","plaintext":"s3cr3t-marker"}`, "invalid_request", "base64"},
		"associated data":            {"transit.encrypt", `{"key":"mcp","plaintext":"aGk=","associated_data":"s3cr3t-marker"}`, "invalid_request", "argument associated_data: not base64"},
		"no context":                 {"transit.encrypt", `{"key":"derived","plaintext":"aGk="}`, "invalid_request", "argument context: missing"},
		"datakey, no context":        {"transit.datakey", `{"key":"derived"}`, "invalid_request", "argument context: missing"},
		"datakey, context":           {"transit.datakey", `{"key":"derived","context":"s3cr3t-marker"}`, "invalid_request", "argument context: not base64"},
		"version to come":            {"transit.encrypt", `{"key":"mcp","plaintext":"aGk=","key_version":9}`, "invalid_request", "argument key_version"},
		"sign, version to come":      {"transit.sign", `{"key":"signing","input":"aGk=","key_version":9}`, "invalid_request", "argument key_version"},
		"hmac, version to come":      {"transit.hmac", `{"key":"mcp","input":"aGk=","key_version":9}`, "invalid_request", "the latest is 1"},
		"encrypt, wrong type":        {"transit.encrypt", `{"key":"signing","plaintext":"aGk="}`, "invalid_request", "a key of type ed25519 cannot"},
		"decrypt, wrong type":        {"transit.decrypt", `{"key":"signing","ciphertext":"vault:v1:AAAA"}`, "invalid_request", "a key of type ed25519 cannot"},
		"datakey, wrong type":        {"transit.datakey", `{"key":"signing"}`, "invalid_request", "a key of type ed25519 cannot"},
		"sign, wrong type":           {"transit.sign", `{"key":"mcp","input":"aGk="}`, "invalid_request", "aes256-gcm96 cannot sign"},
		"verify, wrong type":         {"transit.verify", `{"key":"mcp","input":"aGk=","signature":"vault:v1:AAAA"}`, "invalid_request", "aes256-gcm96 cannot sign"},
		"too long for RSA":           {"transit.encrypt", `{"key":"rsa","plaintext":"` + long + `"}`, "invalid_request", "too long for an RSA key"},
		"data with RSA":              {"transit.encrypt", `{"key":"rsa","plaintext":"aGk=","associated_data":"aGk="}`, "invalid_request", "rsa-2048 takes none"},
		"RSA, other ciphertext":      {"transit.decrypt", `{"key":"rsa","ciphertext":"vault:v1:AAAA"}`, "invalid_request", "cannot be decrypted"},
		"no ciphertext":              {"transit.decrypt", `{"key":"mcp","ciphertext":"s3cr3t-marker"}`, "invalid_request", "argument ciphertext"},
		"ciphertext, bad base64":     {"transit.decrypt", `{"key":"mcp","ciphertext":"vault:v1:s3cr3t-marker"}`, "invalid_request", "argument ciphertext"},
		"ciphertext of another key":  {"transit.decrypt", `{"key":"mcp","ciphertext":"vault:v1:` + strings.Repeat("A", 44) + `"}`, "invalid_request", "made with another key"},
		"ciphertext of a version":    {"transit.decrypt", `{"key":"mcp","ciphertext":"vault:v9:` + strings.Repeat("A", 44) + `"}`, "invalid_request", "version that the key does not have"},
		"old ciphertext":             {"transit.decrypt", `{"key":"minimum","ciphertext":"vault:v1:` + strings.Repeat("A", 44) + `"}`, "invalid_request", "does not allow any more"},
		"sign, input":                {"transit.sign", `{"key":"signing","input":"s3cr3t-marker"}`, "invalid_request", "argument input: not base64"},
		"hmac, input":                {"transit.hmac", `{"key":"mcp","input":"s3cr3t-marker"}`, "invalid_request", "argument input: not base64"},
		"hash, input":                {"transit.hash", `{"input":"s3cr3t-marker"}`, "invalid_request", "argument input: not base64"},
		"prehashed":                  {"transit.sign", `{"key":"rsa","input":"aGk=","prehashed":true,"signature_algorithm":"pkcs1v15"}`, "invalid_request", "must be a digest"},
		"hash none":                  {"transit.sign", `{"key":"rsa","input":"aGk=","hash_algorithm":"none"}`, "invalid_request", "prehashed true"},
		"signature":                  {"transit.verify", `{"key":"signing","input":"aGk=","signature":"vault:v1:***"}`, "invalid_request", "argument signature"},
		"signature of a version":     {"transit.verify", `{"key":"signing","input":"aGk=","signature":"vault:v9:AAAA"}`, "invalid_request", "version that the key does not have"},
		"HMAC":                       {"transit.verify", `{"key":"mcp","input":"aGk=","hmac":"vault:v1:*"}`, "invalid_request", "argument hmac"},
		"database, no role":          {"db.issue_creds", `{"role":"none"}`, "not_found", "no role of this name"},
		"static, no role":            {"db.static_creds", `{"role":"none"}`, "not_found", "no role of this name"},
		"database, no connection":    {"db.issue_creds", `{"role":"orphan"}`, "vault_error", "an administrator must configure it"},
		"sign, no role":              {"ssh.sign", `{"role":"none",` + key + `}`, "not_found", "no role of this name"},
		"password, no role":          {"ssh.otp", `{"role":"none","ip":"127.0.0.1"}`, "not_found", "no role of this name"},
		"sign, role for passwords":   {"ssh.sign", `{"role":"otp",` + key + `}`, "invalid_request", "one-time passwords"},
		"password, role for signing": {"ssh.otp", `{"role":"ca","ip":"127.0.0.1"}`, "invalid_request", "for certificates"},
		"password, other host":       {"ssh.otp", `{"role":"narrowotp","ip":"8.8.8.8"}`, "invalid_request", "argument ip"},
		"password, other user":       {"ssh.otp", `{"role":"narrowotp","ip":"10.0.0.1","username":"root"}`, "invalid_request", "argument username"},
		"too long":                   {"ssh.sign", `{"role":"narrow",` + key + `,"valid_principals":"dev","ttl":"99999h"}`, "invalid_request", "maximum is 3600 seconds"},
		"principal":                  {"ssh.sign", `{"role":"narrow",` + key + `,"valid_principals":"dev,root"}`, "invalid_request", "does not allow root"},
		"no principal":               {"ssh.sign", `{"role":"narrow",` + key + `}`, "invalid_request", "argument valid_principals: missing"},
		"extension":                  {"ssh.sign", `{"role":"narrow",` + key + `,"valid_principals":"dev","extensions":{"permit-agent-forwarding":""}}`, "invalid_request", "does not allow permit-agent-forwarding"},
		"critical option":            {"ssh.sign", `{"role":"narrow",` + key + `,"valid_principals":"dev","critical_options":{"force-command":"s3cr3t-marker"}}`, "invalid_request", "does not allow force-command"},
		"host certificate":           {"ssh.sign", `{"role":"narrow",` + key + `,"valid_principals":"dev","cert_type":"host"}`, "invalid_request", "type host"},
		"key type":                   {"ssh.sign", `{"role":"rsaonly",` + key + `,"valid_principals":"dev"}`, "invalid_request", "keys of type ed25519"},
		"code of no key":             {"totp.verify", `{"key":"none","code":"123456"}`, "not_found", "no key of this name"},
		"code, no key":               {"totp.code", `{"key":"none"}`, "not_found", "no key of this name"},
		"code that was used":         {"totp.verify", `{"key":"login","code":"919191"}`, "invalid_request", "wait for the key's next code"},
		"certificate, no role":       {"pki.issue", `{"role":"none","common_name":"app.example.test"}`, "not_found", "no role of this name"},
		"certificate of a name":      {"pki.issue", `{"role":"web","common_name":"s3cr3t-marker"}`, "invalid_request", "argument common_name: the role makes"},
		"certificate of two names":   {"pki.issue", `{"role":"web","common_name":"app.example.test","alt_names":"s3cr3t-marker"}`, "invalid_request", "alt_names"},
		"certificate of an address":  {"pki.issue", `{"role":"noips","common_name":"app.example.test","ip_sans":"192.0.2.7"}`, "invalid_request", "argument ip_sans"},
		"request with another key":   {"pki.sign", `{"role":"rsaonly","common_name":"app.example.test","csr":"` + opstest.CSR + `"}`, "invalid_request", "a key of type rsa"},
		"number":                     {"kv.write", `{"path":"n","data":{"s3cr3t":"s3cr3t-marker","n":1e400}}`, "invalid_request", "send it as a string"},
		"patched number":             {"kv.patch", `{"path":"there","data":{"n":1e400}}`, "invalid_request", "send it as a string"},
	}
}

// prepareMistakes makes the keys and roles that the mistakes are about.
func prepareMistakes(t *testing.T, r *rig) {
	t.Helper()
	r.admin(t, "transit/keys/derived", `{"derived":true}`)
	r.admin(t, "transit/keys/rsa", `{"type":"rsa-2048"}`)
	r.admin(t, "transit/keys/minimum", `{}`)
	r.admin(t, "transit/keys/minimum/rotate", `{}`)
	r.admin(t, "transit/keys/minimum/config", `{"min_decryption_version":2}`)
	r.admin(t, "database/roles/orphan", `{"db_name":"none","creation_statements":["x"]}`)
	r.admin(t, "ssh/roles/narrow", `{"key_type":"ca","allow_user_certificates":true,"allowed_users":"dev,ops","max_ttl":"1h","ttl":"30m","allowed_extensions":"permit-pty","allowed_critical_options":"source-address"}`)
	r.admin(t, "ssh/roles/rsaonly", `{"key_type":"ca","allow_user_certificates":true,"allowed_users":"*","allowed_user_key_lengths":{"rsa":2048}}`)
	r.admin(t, "ssh/roles/narrowotp", `{"key_type":"otp","default_user":"dev","allowed_users":"dev","cidr_list":"10.0.0.0/8"}`)
	r.admin(t, "pki/roles/noips", `{"allowed_domains":"example.test","allow_subdomains":true,"key_type":"ec","allow_ip_sans":false}`)
	r.admin(t, "pki/roles/rsaonly", `{"allowed_domains":"example.test","allow_subdomains":true,"key_type":"rsa"}`)
	r.must(t, "totp.verify", `{"key":"login","code":"919191"}`)
	r.must(t, "kv.write", `{"path":"there","data":{"x":1}}`)
}

// TestMistakesAreNamed makes every mistake that Vault finds: the caller is told which
// one it is and what to do, in a sentence of the gateway's, and nothing that was sent is
// in any text of it.
func TestMistakesAreNamed(t *testing.T) {
	r, _ := newDatabaseRig(t)
	prepareMistakes(t, r)
	for name, m := range mistakes() {
		t.Run(name, func(t *testing.T) {
			_, err := r.do(t.Context(), m.op, m.args)
			e := call.AsError(err)
			if e == nil || string(e.Code) != m.code || !strings.Contains(e.Msg, m.says) {
				t.Fatalf("got %v, want %s: %s", err, m.code, m.says)
			}
			for _, text := range []string{e.Msg, err.Error(), fmt.Sprintf("%+v", e)} {
				if strings.Contains(text, opstest.Marker) || strings.Contains(text, "1e400") {
					t.Errorf("what was sent is in %q", text)
				}
			}
			if e.Wait() > 0 {
				t.Errorf("it is said to help to try again: %v", err)
			}
		})
	}
}

// TestItemsOfABatchNameTheirMistakes: so does each item of a batch.
func TestItemsOfABatchNameTheirMistakes(t *testing.T) {
	r := newRig(t)
	for _, good := range []string{"", `,{"plaintext":"aGk="}`} {
		out := r.must(t, "transit.encrypt", `{"key":"mcp","items":[{"plaintext":"s3cr3t-marker"},{"plaintext":"aGk=","key_version":9}`+good+`]}`)
		text := fmt.Sprint(out)
		for _, want := range []string{"encode plaintext", "argument key_version"} {
			if !strings.Contains(text, want) {
				t.Errorf("got %s, want %s", text, want)
			}
		}
		if strings.Contains(text, opstest.Marker) {
			t.Errorf("what was sent is in %s", text)
		}
	}
}

// TestDatabaseAway: a database that does not answer is no mistake of the caller's.
func TestDatabaseAway(t *testing.T) {
	r, p := newDatabaseRig(t)
	out := r.must(t, "db.issue_creds", `{"role":"readonly"}`)
	lease := fmt.Sprintf(`{"lease_id":%q}`, out["lease_id"])
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for op, args := range map[string]string{"db.issue_creds": `{"role":"readonly"}`, "db.renew": lease, "db.revoke": lease} {
		_, err := r.do(t.Context(), op, args)
		if !call.Is(err, call.VaultUnavailable) || call.AsError(err).RetryAfter == 0 {
			t.Errorf("%s: got %v, want vault_unavailable with a time to retry", op, err)
		}
	}
	for range 10 {
		_, _ = r.do(t.Context(), "db.revoke", lease)
	}
	r.must(t, "kv.list", `{}`) // Vault itself is not away
	if held := fmt.Sprint(r.must(t, "db.leases", `{}`)); !strings.Contains(held, "database/creds/readonly/") {
		t.Errorf("the lease that could not be revoked is gone: %s", held)
	}
}
