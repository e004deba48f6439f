package ops

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// pki is the PKI engine: X.509 certificates of roles (Vault API, secret/pki). A
// certificate is revoked by whoever holds its private key.
func pki(at place) []*op.Op {
	if at.mount == "" {
		return nil
	}
	spec := func(name string, effect op.Effect, method, path string) op.Spec {
		return op.Spec{Name: "pki." + name, Engine: "pki", Mount: at.mount, More: at.more, Effect: effect, Method: method, Path: path}
	}
	names := limits{"common_name": {MaxBytes: maxLogin}, "alt_names": {MaxBytes: 4 << 10}, "ip_sans": {MaxBytes: 1 << 10}, "ttl": {MaxBytes: 32}}
	issue := spec("issue", op.Issue, "POST", "/pki/issue/:role")
	issue.Title, issue.Doc = "Issue a certificate", "Make a private key and a certificate for it, of a role."
	issue.Needs, issue.Limits = need("issue/{name}", "update"), names
	sign := spec("sign", op.Issue, "POST", "/pki/sign/:role")
	sign.Title, sign.Doc = "Sign a certificate request", "Sign a certificate request of your own key, with a role."
	sign.Needs = need("sign/{name}", "update")
	sign.Limits = limits{"csr": {MaxBytes: 32 << 10}, "common_name": {MaxBytes: maxLogin}, "alt_names": {MaxBytes: 4 << 10}, "ip_sans": {MaxBytes: 1 << 10}, "ttl": {MaxBytes: 32}}
	revoke := spec("revoke", op.Delete, "POST", "/pki/revoke")
	revoke.Title, revoke.Doc = "Revoke a certificate", "Revoke a certificate; its private key proves that it is yours."
	revoke.Needs, revoke.Unnamed, revoke.Destructive, revoke.Replaces, revoke.Idempotent = need("revoke-with-key", "update"), true, true, true, true
	revoke.Limits = limits{"certificate": {MaxBytes: 64 << 10}, "private_key": {MaxBytes: 64 << 10}}
	ca := spec("ca", op.Read, "GET", "/pki/ca")
	ca.Title, ca.Doc = "Read the CA's certificates", "Read the certificate of the issuing CA, and those above it."
	ca.Needs, ca.Unnamed, ca.Idempotent = need("cert/ca_chain", "read"), true, true
	crl := spec("crl", op.Read, "GET", "/pki/crl")
	crl.Title, crl.Doc = "Read the revocation list", "Read the list of revoked certificates."
	crl.Needs, crl.Unnamed, crl.Idempotent = need("cert/crl", "read"), true, true
	list := spec("list", op.List, "GET", "/pki/certificates")
	list.Title, list.Doc = "List certificates", "List the certificates that were issued to you and have not ended."
	list.Unnamed, list.Idempotent = true, true
	return []*op.Op{op.New(issue, pkiIssue), op.New(sign, pkiSign), op.New(revoke, pkiRevoke), op.New(ca, pkiCA), op.New(crl, pkiCRL), op.New(list, pkiList)}
}

// certNames are the names that a certificate is to have, and for how long.
type certNames struct {
	role
	CommonName login  `json:"common_name" jsonschema:"such as app.example.com"`
	AltNames   logins `json:"alt_names,omitzero" jsonschema:"further names, separated by commas"`
	IPSANs     string `json:"ip_sans,omitzero" jsonschema:"addresses, separated by commas"`
	TTL        string `json:"ttl,omitzero" jsonschema:"seconds, or a duration such as 30m or 1d; absent for the role's own"`
	life       time.Duration
}

// Target implements op.Target.
func (in *certNames) Target(at op.At) (call.Resource, error) {
	if in.TTL != "" {
		d, err := parseTTL(in.TTL)
		if err != nil {
			return call.Resource{}, err
		}
		in.life = d
	}
	if in.IPSANs != "" {
		for s := range strings.SplitSeq(in.IPSANs, ",") {
			if _, err := netip.ParseAddr(s); err != nil {
				return call.Resource{}, call.Errorf(call.InvalidRequest, "argument ip_sans: wanted are addresses, separated by commas")
			}
		}
	}
	return in.role.Target(at)
}

func (in *certNames) body(life time.Duration) map[string]any {
	body := map[string]any{"common_name": string(in.CommonName)}
	for name, v := range map[string]string{"alt_names": string(in.AltNames), "ip_sans": in.IPSANs} {
		if v != "" {
			body[name] = v
		}
	}
	if life > 0 {
		body["ttl"] = int(life / time.Second)
	}
	return body
}

type certOut struct {
	Certificate    string      `json:"certificate" jsonschema:"the certificate, PEM"`
	PrivateKey     call.Secret `json:"private_key,omitzero" jsonschema:"its private key, PEM; it is kept nowhere"`
	PrivateKeyType string      `json:"private_key_type,omitzero" jsonschema:"rsa, ec or ed25519"`
	IssuingCA      string      `json:"issuing_ca" jsonschema:"the certificate of the CA that has signed it, PEM"`
	CAChain        []string    `json:"ca_chain" jsonschema:"the certificates from the issuing CA upwards, PEM"`
	SerialNumber   string      `json:"serial_number" jsonschema:"its serial number in hex"`
	Expires        string      `json:"expires" jsonschema:"when it ends, RFC 3339"`
}

// Facts implements op.Reporter.
func (o certOut) Facts() op.Outcome {
	return op.Outcome{Serial: o.SerialNumber, Expires: moment(o.Expires)}
}

// certReply is what Vault answers with a certificate.
type certReply struct {
	Certificate    string   `json:"certificate"`
	PrivateKey     string   `json:"private_key"`
	PrivateKeyType string   `json:"private_key_type"`
	IssuingCA      string   `json:"issuing_ca"`
	CAChain        []string `json:"ca_chain"`
	SerialNumber   string   `json:"serial_number"`
	Expiration     int64    `json:"expiration"`
}

// Complete implements vault.Reply.
func (r *certReply) Complete() bool {
	return r.Certificate != "" && r.SerialNumber != "" && r.Expiration > 0
}

func (r *certReply) result() certOut {
	chain := r.CAChain
	if chain == nil {
		chain = []string{}
	}
	return certOut{
		r.Certificate, call.Secret(r.PrivateKey), r.PrivateKeyType, r.IssuingCA, chain, r.SerialNumber,
		time.Unix(r.Expiration, 0).UTC().Format(time.RFC3339),
	}
}

func (r *certReply) outlives(limit time.Duration) bool {
	return time.Until(time.Unix(r.Expiration, 0)) > limit+clockSkew
}

// certificateOf asks for a certificate, and once more for a shorter one when the role's
// own life is longer than the grant allows. One that is still too long is not delivered.
func (in *certNames) certificateOf(ctx context.Context, s *vault.Session, path string, body map[string]any) (certOut, error) {
	limit, life := s.Grant().Terms().MaxTTL, in.life
	if limit > 0 && life > 0 {
		life = min(life, limit)
	}
	for _, life := range []time.Duration{life, limit} {
		all := in.body(life)
		for name, v := range body {
			all[name] = v
		}
		var reply certReply
		if err := s.Put(ctx, path+"/"+string(in.Role), all, &reply); err != nil {
			return certOut{}, err
		}
		if limit <= 0 || !reply.outlives(limit) {
			s.NoteCertificate(ctx, reply.SerialNumber, string(in.Role), time.Unix(reply.Expiration, 0))
			return reply.result(), nil
		}
	}
	return certOut{}, call.Errorf(call.Forbidden, "the certificate cannot be made as short as the policy asks")
}

func pkiIssue(ctx context.Context, s *vault.Session, in certNames) (certOut, error) {
	out, err := in.certificateOf(ctx, s, "issue", nil)
	if err == nil && out.PrivateKey == "" {
		err = call.Errorf(call.VaultError, "Vault's answer lacks the private key")
	}
	return out, err
}

type pkiSignIn struct {
	certNames
	CSR string `json:"csr" jsonschema:"the certificate request, PEM"`
}

// Target implements op.Target.
func (in *pkiSignIn) Target(at op.At) (call.Resource, error) {
	_, err := x509.ParseCertificateRequest(public(&in.CSR, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"))
	if err != nil {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "argument csr: wanted is one certificate request in PEM, and nothing beside it")
	}
	return in.certNames.Target(at)
}

// public is what one PEM block of some type holds (RFC 7468), nil when there is anything
// else. The text becomes that block alone: what is public is on record as it is, and a
// private key that was pasted beside it must not be.
func public(text *string, types ...string) []byte {
	block, rest := pem.Decode([]byte(*text))
	if block == nil || strings.TrimSpace(string(rest)) != "" || len(block.Headers) > 0 || !slices.Contains(types, block.Type) {
		return nil
	}
	*text = string(pem.EncodeToMemory(block))
	return block.Bytes
}

func pkiSign(ctx context.Context, s *vault.Session, in pkiSignIn) (certOut, error) {
	return in.certificateOf(ctx, s, "sign", map[string]any{"csr": in.CSR})
}

type pkiRevokeIn struct {
	nothing
	Certificate string      `json:"certificate" jsonschema:"the certificate, PEM"`
	PrivateKey  call.Secret `json:"private_key" jsonschema:"its private key, PEM"`
	serial      string
}

// Target implements op.Target.
func (in *pkiRevokeIn) Target(at op.At) (call.Resource, error) {
	cert, err := x509.ParseCertificate(public(&in.Certificate, "CERTIFICATE"))
	if err != nil {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "argument certificate: wanted is one certificate in PEM, and nothing beside it")
	}
	in.serial = serialNumber(cert)
	return in.nothing.Target(at)
}

// serialNumber is a certificate's in the form that Vault has for it: bytes in hex with
// colons between them.
func serialNumber(c *x509.Certificate) string {
	var b strings.Builder
	for i, one := range c.SerialNumber.Bytes() {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02x", one)
	}
	return b.String()
}

type revokedOut struct {
	OK      bool   `json:"ok" jsonschema:"always true"`
	Revoked string `json:"revoked" jsonschema:"when it was revoked, RFC 3339"`
}

type revokedReply struct {
	Time int64 `json:"revocation_time"`
}

// Complete implements vault.Reply.
func (r *revokedReply) Complete() bool { return r.Time > 0 }

func pkiRevoke(ctx context.Context, s *vault.Session, in pkiRevokeIn) (revokedOut, error) {
	var reply revokedReply
	err := s.Put(ctx, "revoke-with-key", map[string]any{"certificate": in.Certificate, "private_key": in.PrivateKey.Reveal()}, &reply)
	if err == nil {
		s.NoteRevoked(ctx, in.serial)
	}
	return revokedOut{err == nil, time.Unix(reply.Time, 0).UTC().Format(time.RFC3339)}, err
}

type listed struct {
	SerialNumber string `json:"serial_number" jsonschema:"its serial number in hex"`
	Role         string `json:"role" jsonschema:"the role that it was issued for"`
	Issued       string `json:"issued" jsonschema:"when it was issued, RFC 3339"`
	Expires      string `json:"expires" jsonschema:"when it ends, RFC 3339"`
	Revoked      string `json:"revoked,omitzero" jsonschema:"when it was revoked, RFC 3339, absent for not"`
}

type certificatesOut struct {
	Certificates []listed `json:"certificates" jsonschema:"the certificates, oldest first"`
}

func pkiList(ctx context.Context, s *vault.Session, _ nothing) (certificatesOut, error) {
	all, err := s.Certificates(ctx)
	out := certificatesOut{Certificates: make([]listed, 0, len(all))}
	for _, c := range all {
		one := listed{SerialNumber: c.Serial, Role: c.Role, Issued: rfc3339(c.Issued), Expires: rfc3339(c.Expires)}
		if c.Revoked > 0 {
			one.Revoked = rfc3339(c.Revoked)
		}
		out.Certificates = append(out.Certificates, one)
	}
	return out, err
}

// rfc3339 is a time in Unix seconds as text.
func rfc3339(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }

type caOut struct {
	Certificate string   `json:"certificate" jsonschema:"the certificate of the issuing CA, PEM"`
	Chain       []string `json:"chain" jsonschema:"it and those above it, PEM"`
}

type pemReply struct {
	Certificate string `json:"certificate"`
}

// Complete implements vault.Reply.
func (r *pemReply) Complete() bool { return r.Certificate != "" }

func pkiCA(ctx context.Context, s *vault.Session, _ nothing) (caOut, error) {
	var reply pemReply
	if err := s.Get(ctx, "cert/ca_chain", nil, &reply); err != nil {
		return caOut{}, err
	}
	out := caOut{Chain: []string{}}
	for rest := []byte(reply.Certificate); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		out.Chain = append(out.Chain, string(pem.EncodeToMemory(block)))
	}
	if len(out.Chain) == 0 {
		return caOut{}, call.Errorf(call.NotFound, "not found: the engine has no CA yet")
	}
	out.Certificate = out.Chain[0]
	return out, nil
}

type crlOut struct {
	CRL string `json:"crl" jsonschema:"the list, PEM"`
}

func pkiCRL(ctx context.Context, s *vault.Session, _ nothing) (crlOut, error) {
	var reply pemReply
	err := s.Get(ctx, "cert/crl", nil, &reply)
	return crlOut{reply.Certificate}, err
}
