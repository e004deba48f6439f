package ops

import (
	"context"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// wrapping is what is asked about wrapped answers (Vault API, sys/wrapping).
func wrapping(open bool) []*op.Op {
	if !open {
		return nil
	}
	return []*op.Op{op.New(op.Spec{
		Name: "sys.unwrap", Engine: "sys", Effect: op.Read, Method: "POST", Path: "/unwrap",
		Title: "Unwrap an answer", Doc: "Open an answer of your own that was wrapped. It can be opened once.",
		Limits: limits{"token": {MaxBytes: 1 << 10}},
	}, unwrap)}
}

type unwrapIn struct {
	nothing
	Token call.Secret `json:"token" jsonschema:"the token of the wrapped answer"`
}

type unwrapOut struct {
	Data call.SecretJSON `json:"data" jsonschema:"what was wrapped"`
}

func unwrap(ctx context.Context, s *vault.Session, in unwrapIn) (unwrapOut, error) {
	raw, err := s.Unwrap(ctx, in.Token)
	return unwrapOut{call.NewSecretJSON(raw)}, err
}
