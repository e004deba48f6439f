package ops

import (
	"context"
	"encoding/json"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// creds are engines whose credentials are read at creds/{role}, whatever is in them: AWS,
// GCP, Azure, Kubernetes, LDAP, RabbitMQ, Consul, Nomad (Vault API, secret/*). Leases are
// as those of databases.
func creds(at place) []*op.Op {
	if at.mount == "" {
		return nil
	}
	spec := func(name string, effect op.Effect) op.Spec {
		return op.Spec{Name: "creds." + name, Engine: "creds", Mount: at.mount, More: at.more, Effect: effect, Method: "POST", Path: "/creds/" + name}
	}
	issue := spec("issue", op.Issue)
	issue.Path, issue.Vault.IssuesLease = "/creds/issue/:role", true
	issue.Title, issue.Doc, issue.Needs = "Issue credentials", "Make credentials of a role that end with their lease.", need("creds/{name}", "read")
	renew := spec("renew", op.Write)
	renew.Title, renew.Doc, renew.Needs = "Renew a lease", "Prolong a lease of your own.", need("/sys/leases/renew", "update")
	renew.Limits = limits{"lease_id": {MaxBytes: call.MaxPath}, "increment": notNegative()}
	revoke := spec("revoke", op.Write)
	revoke.Title, revoke.Doc, revoke.Needs = "Revoke a lease", "End a lease of your own.", need("/sys/leases/revoke", "update")
	revoke.Limits, revoke.Replaces = limits{"lease_id": {MaxBytes: call.MaxPath}}, true
	return []*op.Op{op.New(issue, issueAny), op.New(renew, renewLease), op.New(revoke, revokeLease)}
}

type anyCredsOut struct {
	Data          call.SecretJSON `json:"data" jsonschema:"the credentials, as the engine has them"`
	LeaseID       string          `json:"lease_id" jsonschema:"the lease, to renew or revoke it"`
	LeaseDuration int             `json:"lease_duration" jsonschema:"how long the credentials live, in seconds"`
	Renewable     bool            `json:"renewable" jsonschema:"whether the lease can be renewed"`
	Expires       string          `json:"expires" jsonschema:"when they end unless the lease is renewed, RFC 3339"`
}

// Facts implements op.Reporter.
func (o anyCredsOut) Facts() op.Outcome {
	return op.Outcome{LeaseID: tail(o.LeaseID), LeaseSum: sum(o.LeaseID), Expires: moment(o.Expires)}
}

// Minted implements minter.
func (o anyCredsOut) Minted() string { return o.LeaseID }

type anyReply struct {
	vault.Lease
	data json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *anyReply) UnmarshalJSON(raw []byte) error {
	r.data = append(r.data[:0], raw...)
	return nil
}

// Complete implements vault.Reply.
func (r *anyReply) Complete() bool { return isObject(r.data) }

func issueAny(ctx context.Context, s *vault.Session, in role) (anyCredsOut, error) {
	var reply anyReply
	if err := s.Mint(ctx, "creds/"+string(in.Role), &reply); err != nil {
		return anyCredsOut{}, err
	}
	l, err := s.Adopt(ctx, reply.Lease, string(in.Role))
	if err != nil {
		return anyCredsOut{}, err
	}
	return anyCredsOut{call.NewSecretJSON(reply.data), l.ID, l.Duration, l.Renewable, l.Expires()}, nil
}
