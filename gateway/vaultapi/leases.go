package vaultapi

import (
	"encoding/pem"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// databaseRoutes are the database engine (Vault API, secret/databases).
func databaseRoutes() []route {
	row := func(pattern, op string, answer func(*request, result) *reply) route {
		return route{engine: "db", pattern: pattern, op: op, args: roleName, reply: answer, verbs: verbs(read)}
	}
	return []route{
		row("creds/:role", "db.issue_creds", leased),
		row("static-creds/:role", "db.static_creds", allFields),
	}
}

// sshRoutes are the SSH engine (Vault API, secret/ssh).
func (a *API) sshRoutes() []route {
	row := func(pattern, op string, args func(*request) (map[string]any, error), answer func(*request, result) *reply, v ...verb) route {
		return route{engine: "ssh", pattern: pattern, op: op, args: args, reply: answer, verbs: v}
	}
	return []route{
		row("creds/:role", "ssh.otp", otpArgs, otp, write),
		row("sign/:role", "ssh.sign", signArgs, signedKey, write),
		row("lookup", "ssh.lookup", roleless(same("ip")), a.usable, write),
		row("public_key", "ssh.public_key", nothing, caText, read),
		row("config/ca", "ssh.public_key", nothing, caKey, read),
	}
}

// maxRoles bounds the roles of a host that are decided on.
const maxRoles = 100

// usable are the roles of a host that the caller may have a password of.
func (a *API) usable(q *request, r result) *reply {
	var all, own []string
	_ = json.Unmarshal(r.fields["roles"], &all) // what the gateway has made is a list
	for _, name := range all[:min(len(all), maxRoles)] {
		args, err := json.Marshal(map[string]string{"role": name, "ip": q.text("ip")})
		if err != nil {
			continue
		}
		may, err := a.May(q.http.Context(), &op.Request{
			ID: q.id, Transport: op.VaultAPI, Phase: op.PhaseList, Op: "ssh.otp", Caller: q.caller, Mount: q.mount.Path, Absolute: true, Args: args,
		})
		if err == nil && may {
			own = append(own, name)
		}
	}
	if own == nil {
		return data(map[string]any{"roles": nil}) // as Vault says that there are none
	}
	return data(map[string]any{"roles": own})
}

func nothing(*request) (map[string]any, error) { return map[string]any{}, nil }

func roleName(q *request) (map[string]any, error) {
	return map[string]any{"role": q.params.get("role")}, nil
}

func otpArgs(q *request) (map[string]any, error) {
	args, _ := roleName(q)
	return args, q.take(args, same("ip", "username"))
}

func signArgs(q *request) (map[string]any, error) {
	args, _ := roleName(q)
	return args, q.take(args, same("public_key", "valid_principals", "cert_type", "ttl", "key_id", "critical_options", "extensions"))
}

// leased is the answer with credentials that end with their lease.
func leased(_ *request, r result) *reply {
	a := &reply{LeaseID: r.text("lease_id"), LeaseDuration: r.number("lease_duration"), Renewable: r.truth("renewable")}
	for _, name := range []string{"lease_id", "lease_duration", "renewable", "expires", "warnings"} {
		delete(r.fields, name)
	}
	a.Data = r.fields
	return a
}

func allFields(_ *request, r result) *reply {
	delete(r.fields, "warnings")
	return data(r.fields)
}

func otp(_ *request, r result) *reply {
	d := r.only(map[string]string{"key": "otp", "username": "username", "ip": "ip", "port": "port"})
	d["key_type"] = []byte(`"otp"`)
	return &reply{LeaseID: r.text("lease_id"), LeaseDuration: r.number("lease_duration"), Data: d}
}

func signedKey(_ *request, r result) *reply {
	return data(r.only(map[string]string{"signed_key": "certificate", "serial_number": "serial_number"}))
}

func caText(_ *request, r result) *reply { return &reply{text: r.text("public_key")} }

func caKey(_ *request, r result) *reply { return data(r.only(same("public_key"))) }

// pkiRoutes are the PKI engine (Vault API, secret/pki).
func pkiRoutes() []route {
	row := func(pattern, op string, args func(*request) (map[string]any, error), answer func(*request, result) *reply, v ...verb) route {
		return route{engine: "pki", pattern: pattern, op: op, args: args, reply: answer, verbs: v}
	}
	names := same("common_name", "alt_names", "ip_sans", "ttl")
	withCSR := same("common_name", "alt_names", "ip_sans", "ttl", "csr")
	return []route{
		row("issue/:role", "pki.issue", roleWith(names), issued, write),
		row("sign/:role", "pki.sign", roleWith(withCSR), issued, write),
		row("revoke-with-key", "pki.revoke", roleless(same("certificate", "private_key")), allFields, write),
		row("certs", "pki.list", nothing, serials, list),
		row("cert/ca", "pki.ca", nothing, pemAs("certificate"), read),
		row("cert/crl", "pki.crl", nothing, pemAs("crl"), read),
		row("ca/pem", "pki.ca", nothing, textAs("certificate", "application/pem-certificate-chain"), read),
		row("ca", "pki.ca", nothing, derOf("certificate", "application/pkix-cert"), read),
		row("ca_chain", "pki.ca", nothing, chain, read),
		row("crl/pem", "pki.crl", nothing, textAs("crl", "application/x-pem-file"), read),
		row("crl", "pki.crl", nothing, derOf("crl", "application/pkix-crl"), read),
	}
}

// totpRoutes are the TOTP engine (Vault API, secret/totp).
func totpRoutes() []route {
	key := func(q *request) (map[string]any, error) {
		args := map[string]any{"key": q.params.get("key")}
		return args, q.take(args, same("code"))
	}
	return []route{
		{engine: "totp", pattern: "code/:key", op: "totp.code", args: key, reply: allFields, verbs: verbs(read)},
		{engine: "totp", pattern: "code/:key", op: "totp.verify", args: key, reply: allFields, verbs: verbs(write)},
	}
}

// credsRoutes are engines of whatever type with creds/{role}.
func credsRoutes() []route {
	return []route{{engine: "creds", pattern: "creds/:role", op: "creds.issue", args: roleName, reply: anyLeased, verbs: verbs(read)}}
}

func roleWith(names map[string]string) func(*request) (map[string]any, error) {
	return func(q *request) (map[string]any, error) {
		args, _ := roleName(q)
		return args, q.take(args, names, "format")
	}
}

func roleless(names map[string]string) func(*request) (map[string]any, error) {
	return func(q *request) (map[string]any, error) {
		args := map[string]any{}
		return args, q.take(args, names)
	}
}

// serials are the serial numbers of certificates, as a list.
func serials(q *request, r result) *reply {
	var all []struct {
		Serial string `json:"serial_number"`
	}
	_ = json.Unmarshal(r.fields["certificates"], &all) // what the gateway has made is one
	names := make([]string, 0, len(all))
	for _, c := range all {
		names = append(names, c.Serial)
	}
	return listOf(names)
}

func pemAs(field string) func(*request, result) *reply {
	return func(_ *request, r result) *reply {
		return data(map[string]any{"certificate": r.fields[field], "revocation_time": 0, "revocation_time_rfc3339": ""})
	}
}

func textAs(field, media string) func(*request, result) *reply {
	return func(_ *request, r result) *reply { return &reply{text: r.text(field), media: media} }
}

// derOf is what a PEM block holds.
func derOf(field, media string) func(*request, result) *reply {
	return func(_ *request, r result) *reply {
		block, _ := pem.Decode([]byte(r.text(field)))
		if block == nil {
			return none()
		}
		return &reply{text: string(block.Bytes), media: media}
	}
}

// chain is the issuing CA's certificate and those above it.
func chain(_ *request, r result) *reply {
	var all []string
	_ = json.Unmarshal(r.fields["chain"], &all) // what the gateway has made is a list
	return &reply{text: strings.Join(all, "\n"), media: "application/pkix-cert"}
}

// issued is a certificate; when it ends is a number in Vault's answers.
func issued(_ *request, r result) *reply {
	delete(r.fields, "warnings")
	if at, err := time.Parse(time.RFC3339, r.text("expires")); err == nil {
		r.fields["expiration"] = jsontext.Value(strconv.FormatInt(at.Unix(), 10))
		delete(r.fields, "expires")
	}
	return data(r.fields)
}

func anyLeased(q *request, r result) *reply {
	creds := r.fields["data"]
	a := leased(q, r)
	a.Data = creds
	return a
}

// leaseRoute is the row of what is asked about a lease: its mount is part of its id.
func leaseRoute(operation string) *route {
	r := &route{op: operation, args: leaseArgs, reply: empty}
	if operation == "db.renew" {
		r.reply = renewed
	}
	return r
}

func leaseArgs(q *request) (map[string]any, error) {
	args := map[string]any{"lease_id": leaseID(q)}
	return args, q.take(args, same("lease_id", "increment"), "sync", "url_lease_id")
}

// leaseID is in the body or at the end of the path.
func leaseID(q *request) string {
	if id := q.text("lease_id"); id != "" {
		return id
	}
	return q.params.get("lease")
}

func renewed(q *request, r result) *reply {
	return &reply{LeaseID: leaseID(q), LeaseDuration: r.number("lease_duration"), Renewable: r.truth("renewable")}
}

// asVault makes a lease or a wrapped answer that is not there, or is another caller's,
// what Vault answers: to some clients 404 means that an older path may do.
func asVault(q *request, operation string, err error) error {
	if call.Is(err, call.NotFound) && (operation == "sys.unwrap" || operation == "sys.rewrap") {
		return noWrapping()
	}
	if call.Is(err, call.NotFound) && leaseID(q) != "" {
		return call.Errorf(call.InvalidRequest, "lease not found")
	}
	return err
}
