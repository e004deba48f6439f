package ops

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
	"portcullis/gateway/vault/verbatim"
)

type kvReadIn struct {
	secret
	Version int `json:"version,omitempty" jsonschema:"absent for the latest"`
}

// Target implements op.Target.
func (in *kvReadIn) Target(at op.At) (call.Resource, error) {
	r, err := in.secret.Target(at)
	r.Version = in.Version
	if err == nil {
		err = in.withoutVersion("version", in.Version != 0)
	}
	return r, err
}

// versionFacts is what KV says about a version beside its data.
type versionFacts struct {
	Version        int             `json:"version" jsonschema:"number of this version"`
	CreatedTime    string          `json:"created_time" jsonschema:"when the version was written, RFC 3339"`
	DeletionTime   string          `json:"deletion_time,omitempty" jsonschema:"when the version was or will be deleted"`
	Destroyed      bool            `json:"destroyed,omitempty" jsonschema:"whether the data is gone for good"`
	CustomMetadata json.RawMessage `json:"custom_metadata,omitempty" jsonschema:"the secret's own metadata"`
}

// Complete implements vault.Reply.
func (f *versionFacts) Complete() bool { return f.Version > 0 && f.CreatedTime != "" }

// answers reports whether they are those of the version that was asked for, 0 for the
// latest: it is the one that was decided on.
func (f *versionFacts) answers(asked int) bool {
	return f.Complete() && (asked == 0 || f.Version == asked)
}

type kvReadOut struct {
	Data        call.SecretJSON `json:"data" jsonschema:"the secret's keys and values"`
	Version     int             `json:"version" jsonschema:"the version that was read, 0 in KV version 1"`
	CreatedTime string          `json:"created_time" jsonschema:"when it was written, RFC 3339; empty in KV version 1"`

	DeletionTime   string          `json:"deletion_time,omitzero" jsonschema:"when the version will be deleted, absent for never"`
	CustomMetadata json.RawMessage `json:"custom_metadata,omitempty" jsonschema:"the secret's own metadata, absent for none"`

	came verbatim.Value // Data as they came, the zero Value when they did not
}

// Facts implements op.Reporter.
func (o kvReadOut) Facts() op.Outcome { return op.Outcome{Version: o.Version} }

// kvReadReply is what Vault answers to a read.
type kvReadReply struct {
	Data     verbatim.Value `json:"data"`
	Metadata versionFacts   `json:"metadata"`

	asked int // the version, 0 for the latest
}

// Complete implements vault.Reply.
func (r *kvReadReply) Complete() bool { return isObject(r.Data.Raw()) && r.Metadata.answers(r.asked) }

// Kept implements wire.Keeper.
func (r *kvReadReply) Kept() *verbatim.Value { return &r.Data }

func isObject(raw []byte) bool { return len(raw) > 0 && raw[0] == '{' }

func kvRead(ctx context.Context, s *vault.Session, in kvReadIn) (kvReadOut, error) {
	if in.v1 {
		return in.readV1(ctx, s)
	}
	reply := kvReadReply{asked: in.Version}
	if err := s.Get(ctx, "data/"+in.full.String(), withNumber(nil, "version", in.Version), &reply); err != nil {
		return kvReadOut{}, in.missing(deletedOr(err))
	}
	out := kvReadOut{
		Data: call.NewSecretJSON(reply.Data.Raw()), came: reply.Data,
		Version: reply.Metadata.Version, CreatedTime: reply.Metadata.CreatedTime, DeletionTime: reply.Metadata.DeletionTime,
	}
	if isObject(reply.Metadata.CustomMetadata) {
		out.CustomMetadata = reply.Metadata.CustomMetadata
	}
	return out, nil
}

// withNumber adds a number to a query, which is nil when it is empty. Vault takes 0 for a number
// that is not there, and has no query to read then.
func withNumber(q url.Values, name string, n int) url.Values {
	if n == 0 {
		return q
	}
	if q == nil {
		q = url.Values{}
	}
	q.Set(name, strconv.Itoa(n))
	return q
}

// deletedOr tells a soft-deleted version, which Vault answers with 404 and its
// metadata, from a missing one.
func deletedOr(err error) error {
	nf, ok := errors.AsType[*vault.NotFoundError](err)
	if !ok {
		return err
	}
	var reply struct {
		Metadata     *versionFacts `json:"metadata"` // to a read
		versionFacts               // to a patch
	}
	if json.Unmarshal(nf.Body, &reply) != nil {
		return call.Errorf(call.NotFound, "not found")
	}
	if reply.Metadata == nil && reply.Complete() {
		reply.Metadata = &reply.versionFacts
	}
	if reply.Metadata == nil {
		return call.Errorf(call.NotFound, "not found")
	}
	e := call.Errorf(call.Deleted, "this version is deleted")
	e.Data = map[string]any{"metadata": reply.Metadata}
	return e
}
