package uses_test

import (
	"slices"

	"portcullis/gateway/ops/opstest"
)

// step is one operation on a mount: as a call, and as a request of Vault's API. MOUNT is
// the mount, and ${NAME} what an earlier step has saved.
type step struct {
	op, args           string // without arguments it is over Vault's API alone
	method, path, body string // without a method it is not over Vault's API
	save               string
	owned              bool // what it is done to is an earlier step's: that others have none is said in other ways
	never              bool // the mount has no such thing, for its own caller neither
	// open says why its scope alone grants the operation in every mount. Then the answer to
	// the mount's own caller has what follows, and that to others has not, when it is own's.
	open, has string
	own       bool
}

const (
	common  = "it tells nothing of the mount that its callers have"
	public  = "whoever checks a certificate needs it"
	proved  = "the private key proves whose the certificate is"
	ownList = "it lists what is the caller's own"
)

func kvSteps() []step {
	const p, at = `"path":"kv://MOUNT/shared/x"`, "shared/x"
	return []step{
		{op: "kv.write", args: `{` + p + `,"data":{"in":"MOUNT"}}`, method: "PUT", path: "data/" + at, body: `{"data":{"in":"MOUNT"}}`},
		{op: "kv.read", args: `{` + p + `}`, method: "GET", path: "data/" + at, has: "in:MOUNT"},
		{op: "kv.read_many", args: `{"paths":["kv://MOUNT/shared/x"]}`, has: "in:MOUNT"},
		{op: "kv.patch", args: `{` + p + `,"data":{"more":"1"}}`, method: "PATCH", path: "data/" + at, body: `{"data":{"more":"1"}}`},
		{op: "kv.subkeys", args: `{` + p + `}`, method: "GET", path: "subkeys/" + at},
		{op: "kv.set_metadata", args: `{` + p + `,"max_versions":9}`, method: "PUT", path: "metadata/" + at, body: `{"max_versions":9}`},
		{op: "kv.metadata", args: `{` + p + `}`, method: "GET", path: "metadata/" + at},
		{op: "kv.list", args: `{"prefix":"kv://MOUNT/shared"}`, method: "LIST", path: "metadata/shared", has: "keys:[x]"},
		{op: "kv.delete", args: `{` + p + `}`, method: "DELETE", path: "data/" + at},
		{op: "kv.undelete", args: `{` + p + `,"versions":[1]}`, method: "PUT", path: "undelete/" + at, body: `{"versions":[1]}`},
		{op: "kv.destroy", args: `{` + p + `,"versions":[1]}`, method: "PUT", path: "destroy/" + at, body: `{"versions":[1]}`},
		{op: "kv.delete", args: `{` + p + `,"all":true}`, method: "DELETE", path: "metadata/" + at},
	}
}

// plainSteps are those of KV version 1: what it does not have comes between its write and
// its delete, where there would be something to do it to.
func plainSteps() []step {
	const at = "shared/x"
	plain := map[string][2]string{"kv.write": {"PUT", at}, "kv.read": {"GET", at}, "kv.read_many": {}, "kv.list": {"LIST", "shared"}, "kv.delete": {"DELETE", at}}
	var out []step
	for _, s := range kvSteps() {
		one, there := plain[s.op]
		switch {
		case s.op == "kv.delete": // the first one is the last step
		case !there:
			s.never, s.method = true, ""
			out = append(out, s)
		default:
			s.method, s.path, s.body = one[0], one[1], `{"in":"MOUNT"}`
			out = append(out, s)
		}
	}
	return append(out, step{op: "kv.delete", args: `{"path":"kv://MOUNT/shared/x"}`, method: "DELETE", path: at})
}

func transitSteps() []step {
	const m = `"mount":"MOUNT",`
	return []step{
		{op: "transit.encrypt", args: `{` + m + `"key":"mcp","plaintext":"aGk="}`, method: "PUT", path: "encrypt/mcp", body: `{"plaintext":"aGk="}`, save: "ciphertext"},
		{op: "transit.decrypt", args: `{` + m + `"key":"mcp","ciphertext":"${ciphertext}"}`, method: "PUT", path: "decrypt/mcp", body: `{"ciphertext":"${ciphertext}"}`},
		{op: "transit.rewrap", args: `{` + m + `"key":"mcp","ciphertext":"${ciphertext}"}`, method: "PUT", path: "rewrap/mcp", body: `{"ciphertext":"${ciphertext}"}`},
		{op: "transit.sign", args: `{` + m + `"key":"signing","input":"aGk="}`, method: "PUT", path: "sign/signing", body: `{"input":"aGk="}`, save: "signature"},
		{op: "transit.verify", args: `{` + m + `"key":"signing","input":"aGk=","signature":"${signature}"}`, method: "PUT", path: "verify/signing", body: `{"input":"aGk=","signature":"${signature}"}`, has: "valid:true"},
		{op: "transit.hmac", args: `{` + m + `"key":"mcp","input":"aGk="}`, method: "PUT", path: "hmac/mcp", body: `{"input":"aGk="}`},
		{op: "transit.datakey", args: `{` + m + `"key":"mcp","type":"plaintext"}`, method: "PUT", path: "datakey/plaintext/mcp", body: `{}`},
		{op: "transit.public_key", args: `{` + m + `"key":"signing"}`, method: "GET", path: "keys/signing"},
		{op: "transit.random", args: `{"mount":"MOUNT","bytes":16}`, method: "PUT", path: "random/16", body: `{}`, open: common},
		{op: "transit.hash", args: `{` + m + `"input":"YWJj"}`, method: "PUT", path: "hash/sha2-256", body: `{"input":"YWJj"}`, open: common, has: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	}
}

func leaseSteps(engine, issue, path string) []step {
	const id = `{"lease_id":"${lease_id}"}`
	return []step{
		{op: issue, args: `{"mount":"MOUNT","role":"readonly"}`, method: "GET", path: path, save: "lease_id"},
		{op: engine + ".renew", args: id, method: "PUT", path: "/sys/leases/renew", body: id, owned: true},
		{op: engine + ".revoke", args: id, method: "PUT", path: "/sys/leases/revoke", body: id, owned: true},
	}
}

func databaseSteps() []step {
	const id = `{"lease_id":"${lease_id}"}`
	return slices.Insert(leaseSteps("db", "db.issue_creds", "creds/readonly"), 1,
		step{op: "db.static_creds", args: `{"mount":"MOUNT","role":"rotated"}`, method: "GET", path: "static-creds/rotated"},
		step{op: "db.leases", args: `{}`, open: ownList, has: "${lease_id}", own: true},
		step{op: "db.leases", method: "PUT", path: "/sys/leases/lookup", body: id, owned: true, has: "${lease_id}"})
}

func sshSteps() []step {
	const m, host, key = `"mount":"MOUNT",`, `"ip":"127.0.0.1"`, `"public_key":"` + opstest.PublicKey + `"`
	return []step{
		{op: "ssh.otp", args: `{` + m + `"role":"otp",` + host + `}`, method: "PUT", path: "creds/otp", body: `{` + host + `}`, save: "lease_id"},
		{op: "ssh.lookup", method: "PUT", path: "lookup", body: `{` + host + `}`, open: ownList, has: "[otp]", own: true},
		{op: "ssh.lease", method: "PUT", path: "/sys/leases/lookup", body: `{"lease_id":"${lease_id}"}`, owned: true},
		{op: "ssh.revoke", method: "PUT", path: "/sys/leases/revoke", body: `{"lease_id":"${lease_id}"}`, owned: true},
		{op: "ssh.sign", args: `{` + m + `"role":"ca",` + key + `,"valid_principals":"dev"}`, method: "PUT", path: "sign/ca", body: `{` + key + `,"valid_principals":"dev"}`},
		{op: "ssh.public_key", args: `{"mount":"MOUNT"}`, method: "GET", path: "config/ca", open: public, has: "${ca}"},
	}
}

func pkiSteps() []step {
	const m, name, pair = `"mount":"MOUNT",`, `"common_name":"app.example.test"`, `"certificate":"${certificate}","private_key":"${private_key}"`
	return []step{
		{op: "pki.issue", args: `{` + m + `"role":"web",` + name + `}`, method: "PUT", path: "issue/web", body: `{` + name + `}`, save: "certificate private_key serial_number"},
		{op: "pki.sign", args: `{` + m + `"role":"web",` + name + `,"csr":"` + opstest.CSR + `"}`, method: "PUT", path: "sign/web", body: `{` + name + `,"csr":"` + opstest.CSR + `"}`},
		{op: "pki.list", args: `{"mount":"MOUNT"}`, method: "LIST", path: "certs", open: ownList, has: "${serial_number}", own: true},
		{op: "pki.ca", args: `{"mount":"MOUNT"}`, method: "GET", path: "cert/ca", open: public, has: "${ca}"},
		{op: "pki.crl", args: `{"mount":"MOUNT"}`, method: "GET", path: "cert/crl", open: public, has: "BEGIN X509 CRL"},
		{op: "pki.revoke", args: `{` + m + pair + `}`, method: "PUT", path: "revoke-with-key", body: `{` + pair + `}`, open: proved},
	}
}

func totpSteps() []step {
	return []step{
		{op: "totp.code", args: `{"mount":"MOUNT","key":"login"}`, method: "GET", path: "code/login"},
		{op: "totp.verify", args: `{"mount":"MOUNT","key":"login","code":"${code}"}`, method: "PUT", path: "code/login", body: `{"code":"${code}"}`},
	}
}

// steps are those of an engine, with the version for KV.
func steps(engine string) []step {
	return map[string]func() []step{
		"kv2": kvSteps, "kv1": plainSteps, "transit": transitSteps, "db": databaseSteps, "ssh": sshSteps, "pki": pkiSteps, "totp": totpSteps,
		"creds": func() []step { return leaseSteps("creds", "creds.issue", "creds/readonly") },
	}[engine]()
}
