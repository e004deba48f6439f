package ops

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// ssh is the SSH engine: one-time passwords and signed certificates (Vault API,
// secret/ssh).
func ssh(at place) []*op.Op {
	return []*op.Op{
		op.New(op.Spec{
			Name: "ssh.otp", Engine: "ssh", Mount: at.mount, More: at.more, Effect: op.Issue, OneTime: true, Vault: vault.Use{IssuesLease: true},
			Method: "POST", Path: "/ssh/otp",
			Title: "Issue a one-time password", Doc: "Make a password for one SSH login as a user on a host.",
			Needs: need("creds/{name}", "update"),
			Limits: limits{
				"ip": {MaxBytes: 64}, "username": {MaxBytes: maxLogin},
				"port": {Min: new(1.0), Max: new(65535.0), Default: 22},
			},
		}, sshOTP),
		op.New(op.Spec{
			Name: "ssh.sign", Engine: "ssh", Mount: at.mount, More: at.more, Effect: op.Issue,
			Method: "POST", Path: "/ssh/sign",
			Title: "Sign an SSH key", Doc: "Sign a public key as a certificate for users or hosts.",
			Needs: need("sign/{name}", "update"),
			Limits: limits{
				"public_key": {MaxBytes: 16 << 10}, "cert_type": oneOf("user", "host"), "ttl": {MaxBytes: 32},
				"valid_principals": {MaxBytes: 4 << 10}, "key_id": {MaxBytes: maxLogin},
			},
		}, sshSign),
		op.New(op.Spec{
			Name: "ssh.public_key", Engine: "ssh", Mount: at.mount, More: at.more, Effect: op.Read, Unnamed: true, Idempotent: true,
			Method: "GET", Path: "/ssh/public_key",
			Title: "Read the CA's public key", Doc: "Read the public key that signs certificates, for TrustedUserCAKeys and known_hosts.",
			Needs: need("public_key", "read"),
		}, sshPublicKey),
		op.New(op.Spec{
			Name: "ssh.lookup", Engine: "ssh", Mount: at.mount, More: at.more, Effect: op.List, Unnamed: true, Idempotent: true, VaultAPI: true,
			Title: "Find roles of a host", Doc: "List the roles that make passwords for a host, of which the Vault API shows those of the caller.",
			Needs: need("lookup", "update"), Limits: limits{"ip": {MaxBytes: 64}},
		}, sshLookup),
		op.New(op.Spec{
			Name: "ssh.lease", Engine: "ssh", Mount: at.mount, More: at.more, Effect: op.List, Idempotent: true, VaultAPI: true,
			Title: "Look up a password's lease", Doc: "Say when a one-time password of your own ends.",
			Limits: limits{"lease_id": {MaxBytes: call.MaxPath}},
		}, sshLease),
		op.New(op.Spec{
			Name: "ssh.revoke", Engine: "ssh", Mount: at.mount, More: at.more, Effect: op.Write, Replaces: true, VaultAPI: true,
			Title: "Revoke a password's lease", Doc: "End a one-time password of your own.",
			Limits: limits{"lease_id": {MaxBytes: call.MaxPath}},
		}, sshRevoke),
	}
}

// login is the name of a user or host that SSH lets in, or of a certificate. Which
// names are allowed, the role says: *.example.com, DOMAIN\\jane and ticket:123 are names
// as well. Refused is what would be more than one name, or a path, to somebody else.
type login string

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *login) UnmarshalText(b []byte) error {
	s := string(b)
	switch {
	case s == "" || s == "." || s == "..", len(s) > maxLogin, strings.TrimSpace(s) != s,
		strings.ContainsAny(s, "/?#%,"), strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }):
		return call.Errorf(call.InvalidRequest, "not a name of 1 to %d printable characters without / ? # %% and commas, and without a space at an end", maxLogin)
	}
	*l = login(s)
	return nil
}

// maxLogin bounds a name, in bytes: that of a host in DNS (RFC 1035 section 2.3.4).
const maxLogin = 255

// logins is a list of them, separated by commas as Vault wants it.
type logins string

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *logins) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*l = ""
		return nil
	}
	for s := range strings.SplitSeq(string(b), ",") {
		if err := new(login).UnmarshalText([]byte(s)); err != nil {
			return err
		}
	}
	*l = logins(b)
	return nil
}

type otpIn struct {
	role
	host
	Username login `json:"username,omitzero" jsonschema:"user to log in as, absent for the role's own"`
	Port     int   `json:"port,omitzero" jsonschema:"port of the host's SSH server, returned as it is"`
}

// Target implements op.Target.
func (in *otpIn) Target(at op.At) (call.Resource, error) {
	if _, err := in.host.Target(at); err != nil {
		return call.Resource{}, err
	}
	return in.role.Target(at)
}

type otpOut struct {
	IP            string      `json:"ip" jsonschema:"address of the host"`
	Username      string      `json:"username" jsonschema:"user to log in as"`
	Port          int         `json:"port" jsonschema:"port of the host's SSH server"`
	OTP           call.Secret `json:"otp" jsonschema:"the password; it works once"`
	LeaseID       string      `json:"lease_id" jsonschema:"the lease that the password ends with"`
	LeaseDuration int         `json:"lease_duration" jsonschema:"how long the password can be used, in seconds"`
}

// Facts implements op.Reporter.
func (o otpOut) Facts() op.Outcome {
	return op.Outcome{
		LeaseID: tail(o.LeaseID), LeaseSum: sum(o.LeaseID), User: o.Username,
		Expires: time.Now().Add(time.Duration(o.LeaseDuration) * time.Second),
	}
}

// Minted implements minter.
func (o otpOut) Minted() string { return o.LeaseID }

// otpReply is what Vault answers with a password.
type otpReply struct {
	vault.Lease `json:"-"`
	Key         string `json:"key"`
	Username    string `json:"username"`
	IP          string `json:"ip"`
	Port        int    `json:"port"`
}

// Complete implements vault.Reply.
func (r *otpReply) Complete() bool { return r.Key != "" && r.Username != "" && r.IP != "" }

// sshOTP makes a password that works once. Its lease is noted in memory alone, so that its
// caller can end it before its time; it is neither listed nor renewed, and hangs on the
// caller's token of leases.
// It gives back a password whose lease outlives what the policy allows: such a
// lease cannot be shortened, only the mount's lease time can.
func sshOTP(ctx context.Context, s *vault.Session, in otpIn) (otpOut, error) {
	body := map[string]string{"ip": in.IP}
	if in.Username != "" {
		body["username"] = string(in.Username)
	}
	var reply otpReply
	if err := s.MintOnce(ctx, "creds/"+string(in.Role), body, &reply); err != nil {
		return otpOut{}, err
	}
	if limit := s.Grant().Terms().MaxTTL; limit > 0 && reply.Duration > int(limit/time.Second) {
		err := call.Errorf(call.Forbidden, "the password cannot be made to live as short as the policy asks")
		return otpOut{}, errors.Join(err, s.Discard(context.WithoutCancel(ctx), reply.ID))
	}
	if in.Port == 0 {
		in.Port = reply.Port
	}
	s.NoteOnce(reply.Lease, string(in.Role))
	return otpOut{reply.IP, reply.Username, in.Port, call.Secret(reply.Key), reply.ID, reply.Duration}, nil
}

type signKeyIn struct {
	role
	PublicKey       string            `json:"public_key" jsonschema:"the key to sign, in the form of an OpenSSH .pub file"`
	CertType        string            `json:"cert_type,omitzero" jsonschema:"user or host"`
	ValidPrincipals logins            `json:"valid_principals,omitzero" jsonschema:"users, or names of the host, separated by commas; absent for the role's own"`
	TTL             string            `json:"ttl,omitzero" jsonschema:"seconds, or a duration such as 30m or 1d; absent for the role's own"`
	KeyID           login             `json:"key_id,omitzero" jsonschema:"name of the certificate in the server's log"`
	CriticalOptions map[string]string `json:"critical_options,omitzero" jsonschema:"critical options such as force-command, where the role allows them"`
	Extensions      map[string]string `json:"extensions,omitzero" jsonschema:"extensions such as permit-pty, where the role allows them; absent for the role's own"`
	life            time.Duration
}

// Target implements op.Target.
func (in *signKeyIn) Target(at op.At) (call.Resource, error) {
	if in.TTL != "" {
		d, err := parseTTL(in.TTL)
		if err != nil {
			return call.Resource{}, err
		}
		in.life = d
	}
	// The key is in the audit record, so nothing else may stand in its place.
	if key, ok := publicKey(in.PublicKey); ok {
		in.PublicKey = key
	} else {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "argument public_key: not one line of an OpenSSH .pub file")
	}
	for _, m := range []map[string]string{in.CriticalOptions, in.Extensions} {
		if err := checkOptions(m); err != nil {
			return call.Resource{}, err
		}
	}
	return in.role.Target(at)
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

func checkOptions(m map[string]string) error {
	for name, value := range m {
		if _, err := call.ParseSubject(name); err != nil || len(value) > 1024 || strings.ContainsFunc(value, control) {
			return call.Errorf(call.InvalidRequest, "an option or extension has a bad name or value")
		}
	}
	return nil
}

type certificateOut struct {
	Certificate  string `json:"certificate" jsonschema:"the certificate, in the form of an OpenSSH -cert.pub file"`
	SerialNumber string `json:"serial_number" jsonschema:"its serial number in hex"`
	Serial       string `json:"serial" jsonschema:"the same in decimal, as sshd logs it"`
	KeyID        string `json:"key_id" jsonschema:"name of the certificate in the server's log; it begins with who you are, where the role allows that"`
	Expires      string `json:"expires" jsonschema:"when the certificate ends, RFC 3339"`
	TTL          int    `json:"ttl" jsonschema:"how long it is valid from now on, in seconds"`
}

// Facts implements op.Reporter.
func (o certificateOut) Facts() op.Outcome {
	return op.Outcome{Serial: o.SerialNumber, Decimal: o.Serial, Expires: moment(o.Expires)}
}

// sshSign signs, and signs once more for less time when the role's own life is
// longer than the grant allows: a certificate cannot be taken back, so one that is
// valid for too long is not delivered.
func sshSign(ctx context.Context, s *vault.Session, in signKeyIn) (certificateOut, error) {
	limit, asked := s.Grant().Terms().MaxTTL, in.life
	if limit > 0 && in.life > 0 {
		in.life = min(in.life, limit)
	}
	c, err := in.sign(ctx, s)
	if err != nil {
		return certificateOut{}, err
	}
	if limit > 0 && c.outlives(limit) {
		in.life = limit
		if c, err = in.sign(ctx, s); err != nil {
			return certificateOut{}, err
		}
		if c.outlives(limit) {
			return certificateOut{}, call.Errorf(call.Forbidden, "the certificate cannot be made as short as the policy asks")
		}
	}
	out := c.result(time.Now())
	if granted := time.Duration(out.TTL) * time.Second; asked > granted+clockSkew {
		s.Warn(fmt.Sprintf("the certificate is valid for %d seconds, not for %d as asked", out.TTL, int(asked/time.Second)))
	}
	return out, nil
}

// signReply is what Vault answers with a certificate.
type signReply struct {
	SignedKey    string `json:"signed_key"`
	SerialNumber string `json:"serial_number"`
}

// Complete implements vault.Reply.
func (r *signReply) Complete() bool { return r.SignedKey != "" && r.SerialNumber != "" }

// sign asks for a certificate that says in its key id who the caller is. Where the role
// does not allow that, Vault has made none, and one that does not say it is asked for.
func (in *signKeyIn) sign(ctx context.Context, s *vault.Session) (certificate, error) {
	var reply signReply
	body := in.body()
	body["key_id"] = keyID(s.Caller(), string(in.KeyID))
	err := s.Put(ctx, "sign/"+string(in.Role), body, &reply)
	if errors.Is(err, vault.ErrKeyID) && in.KeyID == "" {
		s.Warn("the role does not allow key ids, so the certificate does not say who you are; an administrator can set allow_user_key_ids")
		delete(body, "key_id")
		err = s.Put(ctx, "sign/"+string(in.Role), body, &reply)
	}
	if err != nil {
		return certificate{}, err
	}
	return parseCertificate(reply)
}

// keyID is the caller, with the tenant if there is one, and behind a blank, which is in
// neither, what the caller wants to add.
func keyID(c *call.Caller, more string) string {
	return strings.TrimSuffix(strings.TrimPrefix(c.Key(), "/")+" "+more, " ")
}

// body is what Vault is sent beside the key id.
func (in *signKeyIn) body() map[string]any {
	body := map[string]any{"public_key": in.PublicKey}
	for name, v := range map[string]string{"cert_type": in.CertType, "valid_principals": string(in.ValidPrincipals)} {
		if v != "" {
			body[name] = v
		}
	}
	if in.life > 0 {
		body["ttl"] = int(in.life / time.Second)
	}
	if in.CriticalOptions != nil {
		body["critical_options"] = in.CriticalOptions
	}
	if in.Extensions != nil {
		body["extensions"] = in.Extensions
	}
	return body
}

// host is the address of one.
type host struct {
	IP string `json:"ip" jsonschema:"address of the host"`
}

// Target implements op.Target.
func (in *host) Target(op.At) (call.Resource, error) {
	ip, err := netip.ParseAddr(in.IP)
	if err != nil || ip.Zone() != "" {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "argument ip: not an IP address")
	}
	in.IP = ip.String()
	return call.Resource{}, nil
}

type rolesOut struct {
	Roles []string `json:"roles" jsonschema:"the roles"`
}

// Complete implements vault.Reply: of a host without roles there is a list of none.
func (*rolesOut) Complete() bool { return true }

func sshLookup(ctx context.Context, s *vault.Session, in host) (rolesOut, error) {
	out := rolesOut{Roles: []string{}}
	err := s.Put(ctx, "lookup", map[string]string{"ip": in.IP}, &out)
	return out, err
}

func sshLease(_ context.Context, s *vault.Session, in lease) (leasesOut, error) {
	l, err := s.Once(in.LeaseID.Reveal())
	if err != nil {
		return leasesOut{Leases: []held{}}, err
	}
	return leasesOut{[]held{heldOf(l)}}, nil
}

func sshRevoke(ctx context.Context, s *vault.Session, in lease) (revokeOut, error) {
	err := s.RevokeOnce(ctx, in.LeaseID.Reveal())
	return revokeOut{err == nil, sum(in.LeaseID.Reveal())}, err
}

type publicKeyOut struct {
	PublicKey string `json:"public_key" jsonschema:"the key, in the form of an OpenSSH .pub file"`
}

func sshPublicKey(ctx context.Context, s *vault.Session, _ nothing) (publicKeyOut, error) {
	text, err := s.Text(ctx, "public_key")
	if err != nil {
		return publicKeyOut{}, err
	}
	key, ok := publicKey(text)
	if !ok {
		return publicKeyOut{}, call.Wrap(call.VaultError, "Vault's answer cannot be used", errors.New("it is no public key"))
	}
	return publicKeyOut{key}, nil
}
