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
)

type kvReadIn struct {
	secret
	Version int `json:"version,omitempty" jsonschema:"version to read, 0 or absent for the latest"`
}

// Target implements op.Target.
func (in *kvReadIn) Target(at op.At) (call.Resource, error) {
	r, err := in.secret.Target(at)
	r.Version = in.Version
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

type kvReadOut struct {
	Data        call.SecretJSON `json:"data" jsonschema:"the secret's keys and values"`
	Version     int             `json:"version" jsonschema:"the version that was read"`
	CreatedTime string          `json:"created_time" jsonschema:"when it was written, RFC 3339"`
}

// Facts implements op.Reporter.
func (o kvReadOut) Facts() op.Outcome { return op.Outcome{Version: o.Version} }

// kvReadReply is what Vault answers to a read.
type kvReadReply struct {
	Data     json.RawMessage `json:"data"`
	Metadata versionFacts    `json:"metadata"`
}

// Complete implements vault.Reply.
func (r *kvReadReply) Complete() bool { return isObject(r.Data) && r.Metadata.Complete() }

func isObject(raw []byte) bool { return len(raw) > 0 && raw[0] == '{' }

func kvRead(ctx context.Context, s *vault.Session, in kvReadIn) (kvReadOut, error) {
	var reply kvReadReply
	q := url.Values{"version": {strconv.Itoa(in.Version)}}
	if err := s.Get(ctx, "data/"+in.full.String(), q, &reply); err != nil {
		return kvReadOut{}, in.missing(deletedOr(err))
	}
	return kvReadOut{call.NewSecretJSON(reply.Data), reply.Metadata.Version, reply.Metadata.CreatedTime}, nil
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
