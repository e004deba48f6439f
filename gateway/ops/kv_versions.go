package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

type kvVersionsIn struct {
	secret
	Versions []int `json:"versions" jsonschema:"numbers of the versions"`
}

// Target implements op.Target.
func (in *kvVersionsIn) Target(at op.At) (call.Resource, error) {
	if len(in.Versions) == 0 {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "argument versions: empty")
	}
	if err := existing(in.Versions); err != nil {
		return call.Resource{}, err
	}
	return in.versioned(at)
}

// existing refuses what cannot be the number of a version.
func existing(versions []int) error {
	for _, v := range versions {
		if v < 1 {
			return call.Errorf(call.InvalidRequest, "argument versions: less than 1")
		}
	}
	return nil
}

type versionsOut struct {
	OK      bool  `json:"ok" jsonschema:"always true"`
	Missing []int `json:"missing,omitempty" jsonschema:"versions that were named and do not exist"`
}

func kvUndelete(ctx context.Context, s *vault.Session, in kvVersionsIn) (versionsOut, error) {
	return in.on(ctx, s, "undelete/")
}

func kvDestroy(ctx context.Context, s *vault.Session, in kvVersionsIn) (versionsOut, error) {
	return in.on(ctx, s, "destroy/")
}

// on does something to versions. Vault says nothing of versions and secrets that do not
// exist, so they are looked up first.
func (in *kvVersionsIn) on(ctx context.Context, s *vault.Session, verb string) (out versionsOut, err error) {
	var facts kvMetadataOut
	if err := s.Get(ctx, "metadata/"+in.full.String(), nil, &facts); err != nil {
		return out, in.missing(err)
	}
	for _, v := range in.Versions {
		if _, there := facts.Versions[strconv.Itoa(v)]; !there {
			out.Missing = append(out.Missing, v)
		}
	}
	if len(out.Missing) == len(in.Versions) {
		return out, call.Errorf(call.NotFound, "not found: the secret has none of these versions; its latest is %d", facts.CurrentVersion)
	}
	if out.Missing != nil {
		s.Warn("some of the versions do not exist, see missing")
	}
	err = s.Put(ctx, verb+in.full.String(), map[string][]int{"versions": in.Versions}, nil)
	out.OK = err == nil
	return out, err
}

// versionState is what is known of a version that is not read.
type versionState struct {
	CreatedTime  string `json:"created_time" jsonschema:"when it was written, RFC 3339"`
	DeletionTime string `json:"deletion_time" jsonschema:"when it was or will be deleted, empty for never"`
	Destroyed    bool   `json:"destroyed" jsonschema:"whether the data is gone for good"`
}

type kvMetadataOut struct {
	CurrentVersion     int                     `json:"current_version" jsonschema:"number of the latest version"`
	OldestVersion      int                     `json:"oldest_version" jsonschema:"number of the oldest version that is kept, 0 when none was dropped"`
	CreatedTime        string                  `json:"created_time" jsonschema:"when the secret was first written, RFC 3339"`
	UpdatedTime        string                  `json:"updated_time" jsonschema:"when the secret last changed, RFC 3339"`
	MaxVersions        int                     `json:"max_versions" jsonschema:"how many versions are kept, 0 for what the mount says"`
	CASRequired        bool                    `json:"cas_required" jsonschema:"whether a write must name the current version"`
	DeleteVersionAfter string                  `json:"delete_version_after" jsonschema:"how long a version lives, 0s for ever"`
	CustomMetadata     map[string]string       `json:"custom_metadata" jsonschema:"the secret's own metadata"`
	Versions           map[string]versionState `json:"versions" jsonschema:"the versions that are kept, by number"`
}

// Facts implements op.Reporter.
func (o kvMetadataOut) Facts() op.Outcome { return op.Outcome{Version: o.CurrentVersion} }

// Complete implements vault.Reply.
func (o *kvMetadataOut) Complete() bool { return o.CreatedTime != "" && o.Versions != nil }

type kvMetadataIn struct{ secret }

// Target implements op.Target.
func (in *kvMetadataIn) Target(at op.At) (call.Resource, error) { return in.versioned(at) }

func kvMetadata(ctx context.Context, s *vault.Session, in kvMetadataIn) (out kvMetadataOut, err error) {
	err = s.Get(ctx, "metadata/"+in.full.String(), nil, &out)
	return out, in.missing(err)
}

type kvSubkeysIn struct {
	secret
	Version int `json:"version,omitempty" jsonschema:"absent for the latest"`
	Depth   int `json:"depth,omitempty" jsonschema:"how deep to look, 0 or absent for all the way"`
}

// Target implements op.Target.
func (in *kvSubkeysIn) Target(at op.At) (call.Resource, error) {
	r, err := in.versioned(at)
	r.Version = in.Version
	return r, err
}

type kvSubkeysOut struct {
	Subkeys     json.RawMessage `json:"subkeys" jsonschema:"the secret's keys; a value is null, or an object of keys"`
	Version     int             `json:"version" jsonschema:"the version that was read"`
	CreatedTime string          `json:"created_time" jsonschema:"when it was written, RFC 3339"`
}

// Facts implements op.Reporter.
func (o kvSubkeysOut) Facts() op.Outcome { return op.Outcome{Version: o.Version} }

// kvSubkeysReply is what Vault answers to a read of the keys.
type kvSubkeysReply struct {
	Subkeys  json.RawMessage `json:"subkeys"`
	Metadata versionFacts    `json:"metadata"`

	asked int // the version, 0 for the latest
}

// Complete implements vault.Reply. What has a value in it is no answer: whoever may see
// the keys need not be one who may see the values.
func (r *kvSubkeysReply) Complete() bool {
	return isObject(r.Subkeys) && r.Metadata.answers(r.asked) && !hasValues(r.Subkeys)
}

// hasValues reports whether a JSON object has a value in it, at whatever depth: anything
// but null and objects, or what cannot be read.
func hasValues(object []byte) bool {
	dec := jsontext.NewDecoder(bytes.NewBuffer(object))
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return !errors.Is(err, io.EOF)
		}
		kind, n := dec.StackIndex(dec.StackDepth())
		name := kind == jsontext.KindBeginObject && n%2 == 1
		switch tok.Kind() {
		case jsontext.KindBeginObject, jsontext.KindEndObject, jsontext.KindNull:
		default:
			if !name {
				return true
			}
		}
	}
}

func kvSubkeys(ctx context.Context, s *vault.Session, in kvSubkeysIn) (kvSubkeysOut, error) {
	reply := kvSubkeysReply{asked: in.Version}
	q := withNumber(withNumber(nil, "version", in.Version), "depth", in.Depth)
	if err := s.Get(ctx, "subkeys/"+in.full.String(), q, &reply); err != nil {
		return kvSubkeysOut{}, in.missing(deletedOr(err))
	}
	return kvSubkeysOut{reply.Subkeys, reply.Metadata.Version, reply.Metadata.CreatedTime}, nil
}
