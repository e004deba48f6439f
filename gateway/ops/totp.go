package ops

import (
	"context"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// totp is the TOTP engine: codes of keys that never leave Vault (Vault API, secret/totp).
func totp(at place) []*op.Op {
	if at.mount == "" {
		return nil
	}
	spec := func(name, method string) op.Spec {
		return op.Spec{Name: "totp." + name, Engine: "totp", Mount: at.mount, More: at.more, Effect: op.Read, Method: method, Path: "/totp/code/:key"}
	}
	code := spec("code", "GET")
	code.Title, code.Doc, code.Needs = "Make a one-time code", "Make the code of now of a key.", need("code/{name}", "read")
	verify := spec("verify", "POST")
	verify.Title, verify.Doc, verify.Needs = "Verify a one-time code", "Say whether a code is the one of a key; a code is good once.", need("code/{name}", "update")
	verify.Limits = limits{"code": {MaxBytes: 16}}
	return []*op.Op{op.New(code, totpCode), op.New(verify, totpVerify)}
}

// totpKey is the target of every operation with a key.
type totpKey struct {
	Key call.Name `json:"key" jsonschema:"name of the key"`
}

// Target implements op.Target.
func (k *totpKey) Target(at op.At) (call.Resource, error) { return (&role{k.Key}).Target(at) }

type codeOut struct {
	Code call.Secret `json:"code" jsonschema:"the code"`
}

type codeReply struct {
	Code string `json:"code"`
}

// Complete implements vault.Reply.
func (r *codeReply) Complete() bool { return r.Code != "" }

func totpCode(ctx context.Context, s *vault.Session, in totpKey) (codeOut, error) {
	var reply codeReply
	err := s.Get(ctx, "code/"+string(in.Key), nil, &reply)
	return codeOut{call.Secret(reply.Code)}, err
}

type totpVerifyIn struct {
	totpKey
	Code call.Secret `json:"code" jsonschema:"the code"`
}

type validOut struct {
	Valid bool `json:"valid" jsonschema:"whether it is the code of the key"`
}

type validReply struct {
	Valid *bool `json:"valid"`
}

// Complete implements vault.Reply.
func (r *validReply) Complete() bool { return r.Valid != nil }

// totpVerify uses the code up, so it is sent once.
func totpVerify(ctx context.Context, s *vault.Session, in totpVerifyIn) (validOut, error) {
	var reply validReply
	if err := s.Put(ctx, "code/"+string(in.Key), map[string]string{"code": in.Code.Reveal()}, &reply); err != nil {
		return validOut{}, err
	}
	return validOut{*reply.Valid}, nil
}
