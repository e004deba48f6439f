package ops

import (
	"bytes"
	"context"
	"encoding/json"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

type kvWriteIn struct {
	secret
	Data call.SecretJSON `json:"data" jsonschema:"the secret's keys and values; numbers must be exact as 64-bit floats, or be sent as text"`
	CAS  *int            `json:"cas,omitempty" jsonschema:"number of the version that must be the current one; 0 to create only"`
}

// Target implements op.Target.
func (in *kvWriteIn) Target(at op.At) (call.Resource, error) {
	if err := op.CheckNumbers("data", in.Data.Reveal()); err != nil {
		return call.Resource{}, err
	}
	r, err := in.writes(at)
	if err == nil {
		err = in.withoutVersion("cas", in.CAS != nil)
	}
	return r, err
}

type kvWriteOut struct {
	OK          bool   `json:"ok" jsonschema:"always true"`
	Path        string `json:"path" jsonschema:"full path of the secret, kv://{mount}/{full path}"`
	Version     int    `json:"version" jsonschema:"number of the version that was written, 0 in KV version 1"`
	CreatedTime string `json:"created_time" jsonschema:"when it was written, RFC 3339; empty in KV version 1"`
}

// Facts implements op.Reporter.
func (o kvWriteOut) Facts() op.Outcome { return op.Outcome{Version: o.Version} }

// written makes the answer of a write from what Vault says that it holds now. The data
// is not sent back: its caller has it, and logs of clients keep answers.
func (s *secret) written(sess *vault.Session, facts versionFacts, data call.SecretJSON) kvWriteOut {
	if enveloped(data.Reveal()) {
		sess.Warn("data holds nothing but an object data of its own, as a request to Vault does: the secret has the one key data now. If its members were meant to be the secret's keys, write them without the outer data")
	}
	if s.guess.hint != "" {
		sess.Warn("a path is relative to your own prefix; " + s.guess.hint)
	}
	return kvWriteOut{OK: true, Path: s.uri(sess), Version: facts.Version, CreatedTime: facts.CreatedTime}
}

// enveloped reports whether data looks like the body of a request to Vault's API:
// {"data": {...}} with nothing but options or metadata beside it.
func enveloped(data []byte) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil || !bytes.HasPrefix(bytes.TrimSpace(members["data"]), []byte("{")) {
		return false
	}
	for name := range members {
		if name != "data" && name != "options" && name != "metadata" {
			return false
		}
	}
	return true
}

func kvWrite(ctx context.Context, s *vault.Session, in kvWriteIn) (kvWriteOut, error) {
	if in.v1 {
		return in.writeV1(ctx, s, in.Data)
	}
	var facts versionFacts
	if err := s.Put(ctx, "data/"+in.full.String(), dataWithCAS(in.Data, in.CAS), &facts); err != nil {
		return kvWriteOut{}, err
	}
	return in.written(s, facts, in.Data), nil
}

type kvPatchIn struct {
	secret
	Data call.SecretJSON `json:"data" jsonschema:"the keys to change with their new values, null to remove one"`
	CAS  *int            `json:"cas,omitempty" jsonschema:"number of the version that must be the current one"`
}

// Target implements op.Target. A patch makes no secret, so any path will do.
func (in *kvPatchIn) Target(at op.At) (call.Resource, error) {
	if err := op.CheckNumbers("data", in.Data.Reveal()); err != nil {
		return call.Resource{}, err
	}
	return in.versioned(at)
}

func kvPatch(ctx context.Context, s *vault.Session, in kvPatchIn) (kvWriteOut, error) {
	raw, err := json.Marshal(dataWithCAS(in.Data, in.CAS))
	if err != nil {
		return kvWriteOut{}, err
	}
	var facts versionFacts
	if err := s.PatchRaw(ctx, "data/"+in.full.String(), raw, &facts); err != nil {
		return kvWriteOut{}, in.missing(deletedOr(err))
	}
	return in.written(s, facts, in.Data), nil
}

// dataWithCAS is the body of a write (Vault API, secret/data).
func dataWithCAS(data call.SecretJSON, cas *int) any {
	type options struct {
		CAS *int `json:"cas,omitempty"`
	}
	return struct {
		Data    json.RawMessage `json:"data"`
		Options options         `json:"options"`
	}{data.Reveal(), options{cas}}
}
