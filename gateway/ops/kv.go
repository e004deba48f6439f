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

// kv is the KV version 2 engine (Vault API, secret/kv/kv-v2).
func kv(mount string) []*op.Op {
	return []*op.Op{
		op.New(op.Spec{
			Name: "kv.read", Engine: "kv", Mount: mount, Effect: op.Read, Idempotent: true,
			Method: "GET", Path: "/secrets/*path",
			Title: "Read a secret", Doc: "Read one version of a secret, the latest when none is named.",
			Needs:  need("data/{name}", "read"),
			Limits: limits{"version": notNegative()},
		}, kvRead),
		op.New(op.Spec{
			Name: "kv.write", Engine: "kv", Mount: mount, Effect: op.Write, Replaces: true,
			Method: "PUT", Path: "/secrets/*path",
			Title: "Write a secret", Doc: "Write a new version of a secret; with cas only if the current version has that number.",
			Needs:  need("data/{name}", "create", "update"),
			Limits: limits{"cas": notNegative()},
		}, kvWrite),
		op.New(op.Spec{
			Name: "kv.list", Engine: "kv", Mount: mount, Effect: op.List, Idempotent: true,
			Method: "GET", Path: "/secrets",
			Title: "List secrets", Doc: "List the names below a prefix; a name that ends in a slash has names below it.",
			Needs: need("metadata/{name}", "list"),
		}, kvList),
		op.New(op.Spec{
			Name: "kv.delete", Engine: "kv", Mount: mount, Effect: op.Delete, Replaces: true, Idempotent: true,
			Method: "DELETE", Path: "/secrets/*path", Status: 204,
			Title: "Delete a secret", Doc: "Soft-delete the latest version of a secret; it can be undeleted.",
			Needs: need("data/{name}", "delete"),
		}, kvDelete),
		op.New(op.Spec{
			Name: "kv.patch", Engine: "kv", Mount: mount, Effect: op.Write, Replaces: true,
			Method: "PATCH", Path: "/secrets/*path",
			Title: "Patch a secret", Doc: "Write a new version with some keys changed; a key whose value is null is removed (RFC 7396).",
			Needs:  need("data/{name}", "patch"),
			Limits: limits{"cas": notNegative()},
		}, kvPatch),
		op.New(op.Spec{
			Name: "kv.undelete", Engine: "kv", Mount: mount, Effect: op.Write, Idempotent: true,
			Method: "POST", Path: "/secrets/*path:undelete",
			Title: "Undelete versions", Doc: "Bring soft-deleted versions of a secret back.",
			Needs:  need("undelete/{name}", "update"),
			Limits: limits{"versions": {MaxItems: maxVersions}},
		}, kvUndelete),
		op.New(op.Spec{
			Name: "kv.destroy", Engine: "kv", Mount: mount, Effect: op.Delete, Destructive: true, Replaces: true, Idempotent: true,
			Method: "POST", Path: "/secrets/*path:destroy",
			Title: "Destroy versions", Doc: "Remove the data of versions of a secret for good.",
			Needs:  need("destroy/{name}", "update"),
			Limits: limits{"versions": {MaxItems: maxVersions}},
		}, kvDestroy),
		op.New(op.Spec{
			Name: "kv.metadata", Engine: "kv", Mount: mount, Effect: op.Read, Idempotent: true,
			Method: "GET", Path: "/secrets/*path:metadata",
			Title: "Read a secret's metadata", Doc: "Read what is known of a secret and its versions, without any value.",
			Needs: need("metadata/{name}", "read"),
		}, kvMetadata),
		op.New(op.Spec{
			Name: "kv.subkeys", Engine: "kv", Mount: mount, Effect: op.Read, Idempotent: true,
			Method: "GET", Path: "/secrets/*path:subkeys",
			Title: "Read a secret's structure", Doc: "Read the keys of a secret without their values, which are null.",
			Needs:  need("subkeys/{name}", "read"),
			Limits: limits{"version": notNegative(), "depth": notNegative()},
		}, kvSubkeys),
	}
}

// maxVersions bounds the versions that one call names.
const maxVersions = 1000

func notNegative() op.Limit { return op.Limit{Min: new(0.0)} }

// secret is the target of every operation on one secret. Its path is relative to
// the caller's prefix, unless the call says that it is a full one.
type secret struct {
	Path call.Path `json:"path" jsonschema:"path of the secret below your own prefix, without a leading slash"`
	full call.Path
}

// Target implements op.Target.
func (s *secret) Target(at op.At) (call.Resource, error) {
	s.full = under(at, s.Path)
	return call.Resource{Path: s.full}, nil
}

// withData is Target for what carries data, which must be an object.
func (s *secret) withData(at op.At, data call.SecretJSON) (call.Resource, error) {
	if data.Reveal()[0] != '{' {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "argument data: not an object")
	}
	return s.Target(at)
}

func under(at op.At, p call.Path) call.Path {
	if at.Absolute {
		return p
	}
	return at.Caller.Prefix.Join(p)
}

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
		return kvReadOut{}, deletedOr(err)
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

type kvWriteIn struct {
	secret
	Data     call.SecretJSON `json:"data" jsonschema:"the secret's keys and values"`
	CAS      *int            `json:"cas,omitempty" jsonschema:"number of the version that must be the current one; 0 to create only"`
	Metadata json.RawMessage `json:"metadata,omitempty" jsonschema:"accepted for old callers and ignored"`
}

// Target implements op.Target.
func (in *kvWriteIn) Target(at op.At) (call.Resource, error) {
	in.Metadata = nil
	return in.withData(at, in.Data)
}

type kvWriteOut struct {
	OK          bool            `json:"ok" jsonschema:"always true"`
	Data        call.SecretJSON `json:"data" jsonschema:"what was written"`
	Version     int             `json:"version" jsonschema:"number of the version that was written"`
	CreatedTime string          `json:"created_time" jsonschema:"when it was written, RFC 3339"`
}

// Facts implements op.Reporter.
func (o kvWriteOut) Facts() op.Outcome { return op.Outcome{Version: o.Version} }

func kvWrite(ctx context.Context, s *vault.Session, in kvWriteIn) (kvWriteOut, error) {
	var facts versionFacts
	if err := s.Put(ctx, "data/"+in.full.String(), dataWithCAS(in.Data, in.CAS), &facts); err != nil {
		return kvWriteOut{}, err
	}
	return kvWriteOut{true, in.Data, facts.Version, facts.CreatedTime}, nil
}

type kvListIn struct {
	Prefix call.Prefix `json:"prefix,omitzero" jsonschema:"where to list, below your own prefix; empty, or a path that may end in a slash"`
	full   call.Path
}

// Target implements op.Target.
func (in *kvListIn) Target(at op.At) (call.Resource, error) {
	in.full = under(at, in.Prefix.Path)
	return call.Resource{Path: in.full, Listing: true}, nil
}

type kvListOut struct {
	Keys []string `json:"keys" jsonschema:"names, those with more below them ending in a slash"`
}

// Complete implements vault.Reply.
func (o *kvListOut) Complete() bool { return o.Keys != nil }

func kvList(ctx context.Context, s *vault.Session, in kvListIn) (kvListOut, error) {
	var out kvListOut
	path := "metadata"
	if !in.full.IsZero() {
		path += "/" + in.full.String()
	}
	err := s.List(ctx, path, &out)
	if call.Is(err, call.NotFound) {
		return kvListOut{Keys: []string{}}, nil
	}
	return out, err
}

type okOut struct {
	OK bool `json:"ok" jsonschema:"always true"`
}

func kvDelete(ctx context.Context, s *vault.Session, in secret) (okOut, error) {
	if err := s.Delete(ctx, "data/"+in.full.String()); err != nil {
		return okOut{}, err
	}
	return okOut{true}, nil
}
