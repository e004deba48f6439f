package main_test

import (
	"bufio"
	"encoding/base64"
	"net"
	"strings"
	"testing"
)

func TestEnginesWithTheTokenOfTheGateway(t *testing.T) {
	p := start(t)
	gw := p.login(t)
	text := base64.StdEncoding.EncodeToString([]byte("text"))
	cipher := field(t, p.want(t, 200, post(gw, "transit/encrypt/mcp", object{"plaintext": text})), "ciphertext")
	signature := field(t, p.want(t, 200, post(gw, "transit/sign/signing", object{"input": text})), "signature")
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl dev"

	cases := []struct {
		name, path string
		body       object
		want       string // a field of the answer that must not be empty
		status     int
	}{
		{"decrypt", "transit/decrypt/mcp", object{"ciphertext": cipher}, "plaintext", 200},
		{"rewrap", "transit/rewrap/mcp", object{"ciphertext": cipher}, "ciphertext", 200},
		{"hmac", "transit/hmac/mcp", object{"input": text}, "hmac", 200},
		{"datakey", "transit/datakey/plaintext/mcp", object{}, "plaintext", 200},
		{"random", "transit/random/16", object{}, "random_bytes", 200},
		{"hash", "transit/hash/sha2-256", object{"input": text}, "sum", 200},
		{"verify", "transit/verify/signing", object{"input": text, "signature": signature}, "", 200},
		{"a missing key is not made", "transit/encrypt/other", object{"plaintext": text}, "", 403},
		{"one-time password for anybody anywhere", "ssh/creds/otp", object{"username": "ada", "ip": "203.0.113.9"}, "key", 200},
		{"user certificate", "ssh/sign/ca", object{"public_key": key, "valid_principals": "ada", "key_id": "ada"}, "signed_key", 200},
		{"host certificate", "ssh/sign/ca", object{"public_key": key, "cert_type": "host", "valid_principals": "db.example"}, "signed_key", 200},
		{"unknown certificate extension", "ssh/sign/ca", object{"public_key": key, "extensions": object{"x@example.com": ""}}, "", 400},
		{"write a secret", "secret/data/a", object{"data": object{"k": "v"}}, "created_time", 200},
		{"no new mounts", "sys/mounts/x", object{"type": "kv"}, "", 403},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out := p.want(t, c.status, post(gw, c.path, c.body))
			if c.want != "" {
				field(t, out, c.want)
			}
		})
	}
	if out := p.want(t, 200, post(gw, "transit/verify/signing", object{"input": text, "signature": signature})); out["valid"] != true {
		t.Errorf("signature is not valid: %v", out)
	}
	if out := p.want(t, 200, get(gw, "ssh/config/ca")); !strings.HasPrefix(field(t, out, "public_key"), "ssh-ed25519 ") {
		t.Errorf("certificate authority: got %v", out)
	}
}

func TestGatewayMakesTokensOfItsAgents(t *testing.T) {
	const role = "auth/token/create/mcp-gateway"
	p := start(t)
	p.putKV(t, "agent/x", "seen")
	gw := p.login(t)
	policy := object{"policy": `path "secret/data/agent/*" { capabilities = ["read"] }`}
	p.want(t, 204, post(gw, "sys/policies/acl/mcp-agent-x", policy))
	p.want(t, 403, post(gw, "sys/policies/acl/other", policy))

	batch := p.want(t, 200, auth(gw, role, object{"policies": []string{"mcp-agent-x"}, "ttl": "5m"}))
	service := p.want(t, 200, auth(gw, role, object{"policies": []string{"mcp-agent-x"}, "ttl": "5m", "type": "service"}))
	for kind, token := range map[string]object{"batch": batch, "service": service} {
		if token["token_type"] != kind || token["orphan"] != false || token["renewable"] != (kind == "service") {
			t.Errorf("%s token: got %v", kind, token)
		}
		p.want(t, 200, get(field(t, token, "client_token"), "secret/data/agent/x"))
		p.want(t, 403, get(field(t, token, "client_token"), "secret/data/other"))
	}
	p.want(t, 200, auth(gw, "auth/token/renew-accessor", object{"accessor": service["accessor"]}))

	for _, policy := range []string{"root", "default", "gateway"} {
		p.want(t, 400, call{gw, "POST", role, object{"policies": []string{policy}}, ""})
	}
	p.want(t, 204, post(gw, "auth/token/revoke-accessor", object{"accessor": service["accessor"]}))
	p.want(t, 403, get(field(t, service, "client_token"), "secret/data/agent/x"))
	p.want(t, 204, post(gw, "auth/token/revoke-self", nil))
	p.want(t, 403, get(field(t, batch, "client_token"), "secret/data/agent/x"))
}

func TestJWTMethodIsMounted(t *testing.T) {
	p := start(t)
	pem := "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
	p.want(t, 204, post("root", "auth/jwt/config", object{"jwt_validation_pubkeys": pem}))
	p.want(t, 204, post("root", "auth/jwt/role/bot", object{"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault"}))
	p.want(t, 400, post("", "auth/jwt/login", object{"role": "bot", "jwt": "not.a.token"}))
}

func TestSocketAudit(t *testing.T) {
	p := start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p.want(t, 204, post("root", "sys/audit/tap", object{
		"type": "socket", "options": object{"address": ln.Addr().String(), "socket_type": "tcp"},
	}))
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p.putKV(t, "tapped", "x")
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "secret/data/tapped") {
			return
		}
	}
	t.Errorf("the request did not arrive: %v", lines.Err())
}
