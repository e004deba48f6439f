package ops

import (
	"context"
	"encoding/json"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// A KV engine of version 1 keeps one value at each path, at the path itself (Vault API,
// secret/kv/kv-v1): what it writes or deletes, it replaces or removes for good.

// versioned is Target for what only version 2 has.
func (s *secret) versioned(at op.At) (call.Resource, error) { return s.onlyV2(s.Target(at)) }

func (s *secret) onlyV2(r call.Resource, err error) (call.Resource, error) {
	if err == nil && s.v1 {
		err = call.Errorf(call.InvalidRequest, "the mount %s is KV version 1, which keeps no versions and no metadata: it has read, write, list and delete", r.Mount)
	}
	return r, err
}

// withoutVersion refuses an argument about versions where there are none.
func (s *secret) withoutVersion(name string, given bool) error {
	if s.v1 && given {
		return call.Errorf(call.InvalidRequest, "argument %s: the secret is in a mount of KV version 1, which keeps no versions", name)
	}
	return nil
}

// unknownVersion refuses a call before Vault has said what the mount is.
func unknownVersion() error {
	return call.Errorf(call.VaultUnavailable, "Vault has not said yet whether the mount is KV version 1 or 2; try again, or have its version configured")
}

// plainReply is a secret of version 1: all of the data that Vault answers with.
type plainReply struct{ data json.RawMessage }

// UnmarshalJSON implements json.Unmarshaler.
func (r *plainReply) UnmarshalJSON(raw []byte) error {
	r.data = append(r.data[:0], raw...)
	return nil
}

// Complete implements vault.Reply.
func (r *plainReply) Complete() bool { return isObject(r.data) }

func (s *secret) readV1(ctx context.Context, sess *vault.Session) (kvReadOut, error) {
	var reply plainReply
	if err := sess.Get(ctx, s.full.String(), nil, &reply); err != nil {
		return kvReadOut{}, s.missing(err)
	}
	return kvReadOut{Data: call.NewSecretJSON(reply.data)}, nil
}

func (s *secret) writeV1(ctx context.Context, sess *vault.Session, data call.SecretJSON) (kvWriteOut, error) {
	if err := sess.Put(ctx, s.full.String(), json.RawMessage(data.Reveal()), nil); err != nil {
		return kvWriteOut{}, err
	}
	return s.written(sess, versionFacts{}, data), nil
}
