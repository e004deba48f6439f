package ops

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// database is the database engine (Vault API, secret/databases). A lease belongs
// to the caller that it was issued to; leases.Registry knows whose it is.
func database(at place) []*op.Op {
	spec := func(name string, effect op.Effect, method, path string) op.Spec {
		return op.Spec{Name: "db." + name, Engine: "db", Mount: at.mount, More: at.more, Effect: effect, Method: method, Path: path}
	}
	issue := spec("issue_creds", op.Issue, "POST", "/db/creds/:role")
	issue.Title, issue.Doc = "Issue database credentials", "Make a database user that ends with its lease."
	issue.Vault.IssuesLease = true
	issue.Needs = need("creds/{name}", "read")
	static := spec("static_creds", op.Read, "GET", "/db/static-creds/:role")
	static.Title, static.Doc = "Read static credentials", "Read the current password of a database user that Vault rotates."
	static.Idempotent, static.Needs = true, need("static-creds/{name}", "read")
	renew := spec("renew", op.Write, "POST", "/db/renew")
	renew.Title, renew.Doc = "Renew a lease", "Prolong a lease of your own."
	renew.Limits = limits{"lease_id": {MaxBytes: call.MaxPath}, "increment": notNegative()}
	renew.Needs = need("/sys/leases/renew", "update")
	revoke := spec("revoke", op.Write, "POST", "/db/revoke")
	revoke.Title, revoke.Doc = "Revoke a lease", "End a lease of your own; the database user is gone when this answers."
	revoke.Limits, revoke.Replaces = limits{"lease_id": {MaxBytes: call.MaxPath}}, true
	revoke.Needs = need("/sys/leases/revoke", "update")
	leases := spec("leases", op.List, "GET", "/db/leases")
	leases.Title, leases.Doc = "List leases", "List the leases that you hold."
	leases.Unnamed, leases.Idempotent = true, true
	return []*op.Op{
		op.New(issue, issueCreds), op.New(static, staticCreds),
		op.New(renew, renewLease), op.New(revoke, revokeLease), op.New(leases, listLeases),
	}
}

// role is the target of every operation with a role.
type role struct {
	Role call.Name `json:"role" jsonschema:"name of the role"`
}

// Target implements op.Target.
func (r *role) Target(op.At) (call.Resource, error) {
	p, err := call.ParsePath(string(r.Role))
	return call.Resource{Path: p}, err
}

// credentials are what a database user logs in with. Which of them there are, the role
// and its database decide (Vault API, secret/databases, credential_type).
type credentials struct {
	Password          call.Secret     `json:"password,omitzero" jsonschema:"the password"`
	RSAPrivateKey     call.Secret     `json:"rsa_private_key,omitzero" jsonschema:"the RSA private key, PEM, for roles that use one instead of a password"`
	ClientCertificate call.Secret     `json:"client_certificate,omitzero" jsonschema:"the client certificate, PEM, for roles that use one instead of a password"`
	PrivateKey        call.Secret     `json:"private_key,omitzero" jsonschema:"the private key of the client certificate, PEM"`
	PrivateKeyType    string          `json:"private_key_type,omitzero" jsonschema:"the type of the private key: rsa, ec or ed25519"`
	Extra             call.SecretJSON `json:"extra,omitzero" jsonschema:"further fields that Vault has answered with, as they are"`
}

// credsReply is what Vault answers with credentials.
type credsReply struct {
	vault.Lease       `json:"-"`
	Username          string         `json:"username"`
	Password          string         `json:"password"`
	RSAPrivateKey     string         `json:"rsa_private_key"`
	ClientCertificate string         `json:"client_certificate"`
	PrivateKey        string         `json:"private_key"`
	PrivateKeyType    string         `json:"private_key_type"`
	Extra             jsontext.Value `json:",embed"`
}

// Complete implements vault.Reply: a user without anything to log in with is none.
func (r *credsReply) Complete() bool {
	return r.Username != "" && (r.Password+r.RSAPrivateKey+r.PrivateKey != "" || len(r.Extra) > 0)
}

func (r *credsReply) credentials() credentials {
	c := credentials{
		Password: call.Secret(r.Password), RSAPrivateKey: call.Secret(r.RSAPrivateKey),
		ClientCertificate: call.Secret(r.ClientCertificate), PrivateKey: call.Secret(r.PrivateKey), PrivateKeyType: r.PrivateKeyType,
	}
	if len(r.Extra) > 0 {
		c.Extra = call.NewSecretJSON(r.Extra)
	}
	return c
}

type issueOut struct {
	Username string `json:"username" jsonschema:"the user that was made"`
	credentials
	LeaseID       string `json:"lease_id" jsonschema:"the lease, to renew or revoke it"`
	LeaseDuration int    `json:"lease_duration" jsonschema:"how long the user lives, in seconds"`
	Renewable     bool   `json:"renewable" jsonschema:"whether the lease can be renewed"`
	Expires       string `json:"expires" jsonschema:"when the user ends unless the lease is renewed, RFC 3339"`
}

// Facts implements op.Reporter.
func (o issueOut) Facts() op.Outcome {
	return op.Outcome{LeaseID: tail(o.LeaseID), LeaseSum: sum(o.LeaseID), User: o.Username, Expires: moment(o.Expires)}
}

// Minted implements minter.
func (o issueOut) Minted() string { return o.LeaseID }

// tail is as much of a lease id as evidence keeps.
func tail(lease string) string { return lease[max(0, len(lease)-8):] }

// sum is what evidence knows a lease by.
func sum(lease string) string {
	h := sha256.Sum256([]byte(lease))
	return hex.EncodeToString(h[:])
}

// moment is the time in a text that was made of one, zero for none.
func moment(rfc3339 string) time.Time {
	t, _ := time.Parse(time.RFC3339, rfc3339)
	return t
}

func issueCreds(ctx context.Context, s *vault.Session, in role) (issueOut, error) {
	var reply credsReply
	if err := s.Mint(ctx, "creds/"+string(in.Role), &reply); err != nil {
		return issueOut{}, err
	}
	l, err := s.Adopt(ctx, reply.Lease, string(in.Role))
	if err != nil {
		return issueOut{}, err
	}
	return issueOut{reply.Username, reply.credentials(), l.ID, l.Duration, l.Renewable, l.Expires()}, nil
}

type staticOut struct {
	Username string `json:"username" jsonschema:"the user"`
	credentials
	TTL              float64 `json:"ttl" jsonschema:"seconds until the next rotation"`
	LastRotation     string  `json:"last_vault_rotation" jsonschema:"when it was rotated last, RFC 3339"`
	RotationPeriod   float64 `json:"rotation_period,omitzero" jsonschema:"seconds from one rotation to the next"`
	RotationSchedule string  `json:"rotation_schedule,omitzero" jsonschema:"when it is rotated, as a cron expression"`
}

// Facts implements op.Reporter.
func (o staticOut) Facts() op.Outcome { return op.Outcome{User: o.Username} }

// rotation is what Vault says of a static role's rotation beside its credentials.
type rotation struct {
	TTL      *float64 `json:"ttl"`
	Last     string   `json:"last_vault_rotation"`
	Period   float64  `json:"rotation_period"`
	Schedule string   `json:"rotation_schedule"`
}

type staticReply struct {
	rotation
	credsReply
}

// Complete implements vault.Reply.
func (r *staticReply) Complete() bool { return r.TTL != nil && r.credsReply.Complete() }

func staticCreds(ctx context.Context, s *vault.Session, in role) (staticOut, error) {
	var reply staticReply
	if err := s.Get(ctx, "static-creds/"+string(in.Role), nil, &reply); err != nil {
		return staticOut{}, err
	}
	return staticOut{
		Username: reply.Username, credentials: reply.credentials(),
		TTL: *reply.TTL, LastRotation: reply.Last, RotationPeriod: reply.Period, RotationSchedule: reply.Schedule,
	}, nil
}

// lease is the target of what acts on a lease. The id says which role it is of,
// and so what the decision is about; that it is the caller's is looked up when
// the decision has been made.
type lease struct {
	LeaseID call.Secret `json:"lease_id" jsonschema:"as it came with the credentials"`
}

// Target implements op.Target. An id that cannot be one of the mount's is as
// unknown as one that could.
func (l *lease) Target(at op.At) (call.Resource, error) {
	p, err := call.ParsePlain(l.LeaseID.Reveal())
	if err != nil {
		return call.Resource{}, &call.Error{Code: call.InvalidRequest, Msg: "argument lease_id: " + call.AsError(err).Msg}
	}
	mount, below := "", ""
	for _, m := range at.Mounts {
		if rest, of := strings.CutPrefix(p.String(), m.Path+"/creds/"); of && len(m.Path) > len(mount) {
			mount, below = m.Path, rest
		}
	}
	ours := mount != "" && (!at.Chosen || mount == at.Mount)
	of, id, issued := strings.Cut(below, "/")
	if !ours || !issued || strings.Contains(id, "/") {
		return call.Resource{}, call.Errorf(call.NotFound, "not found")
	}
	name, err := call.ParseName(of)
	if err != nil {
		return call.Resource{}, call.Errorf(call.NotFound, "not found")
	}
	r, err := (&role{name}).Target(at)
	r.Mount = mount
	return r, err
}

type renewIn struct {
	lease
	Increment int `json:"increment,omitzero" jsonschema:"seconds from now on, absent for the role's own"`
}

type renewOut struct {
	OK            bool   `json:"ok" jsonschema:"always true"`
	LeaseDuration int    `json:"lease_duration" jsonschema:"how long the lease lives from now on, in seconds"`
	Renewable     bool   `json:"renewable" jsonschema:"whether it can be renewed again"`
	Expires       string `json:"expires" jsonschema:"when the lease ends unless it is renewed again, RFC 3339"`
	sum           string // of the lease
}

// Facts implements op.Reporter.
func (o renewOut) Facts() op.Outcome { return op.Outcome{LeaseSum: o.sum, Expires: moment(o.Expires)} }

func renewLease(ctx context.Context, s *vault.Session, in renewIn) (renewOut, error) {
	l, err := s.Renew(ctx, in.LeaseID.Reveal(), in.Increment)
	if err != nil {
		return renewOut{}, err
	}
	return renewOut{true, l.Duration, l.Renewable, l.Expires(), sum(in.LeaseID.Reveal())}, nil
}

// revokeOut is okOut that says which lease has ended.
type revokeOut struct {
	OK  bool   `json:"ok" jsonschema:"always true"`
	sum string // of the lease
}

// Facts implements op.Reporter.
func (o revokeOut) Facts() op.Outcome { return op.Outcome{LeaseSum: o.sum} }

func revokeLease(ctx context.Context, s *vault.Session, in lease) (revokeOut, error) {
	err := s.Revoke(ctx, in.LeaseID.Reveal())
	return revokeOut{err == nil, sum(in.LeaseID.Reveal())}, err
}

type held struct {
	LeaseID string `json:"lease_id" jsonschema:"the lease, to renew or revoke it"`
	Role    string `json:"role" jsonschema:"the role that it was issued for"`
	Issued  string `json:"issued" jsonschema:"when it was issued, RFC 3339"`
	Expires string `json:"expires" jsonschema:"when it ends unless it is renewed, RFC 3339"`
}

type leasesOut struct {
	Leases []held `json:"leases" jsonschema:"the leases that you hold"`
}

func heldOf(l vault.Held) held {
	return held{l.ID, l.Role, l.Issued.Format(time.RFC3339), l.Expires.Format(time.RFC3339)}
}

func listLeases(ctx context.Context, s *vault.Session, _ nothing) (leasesOut, error) {
	list, err := s.Leases(ctx)
	out := leasesOut{Leases: make([]held, 0, len(list))}
	for _, l := range list {
		out.Leases = append(out.Leases, heldOf(l))
	}
	return out, err
}
