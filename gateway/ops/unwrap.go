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
	}, unwrap), op.New(op.Spec{
		Name: "sys.rewrap", Engine: "sys", Effect: op.Read, VaultAPI: true,
		Title: "Wrap an answer again", Doc: "Put an answer of your own that was wrapped behind another token.",
		Limits: limits{"token": {MaxBytes: 1 << 10}},
	}, rewrapAnswer)}
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

type wrapInfo struct {
	Token        call.Secret `json:"token" jsonschema:"the token that opens the answer now"`
	TTL          int         `json:"ttl" jsonschema:"how long it can be opened, in seconds"`
	CreationPath string      `json:"creation_path" jsonschema:"where the answer was made"`
}

type rewrapOut struct {
	WrapInfo wrapInfo `json:"wrap_info" jsonschema:"the wrapped answer"`
}

func rewrapAnswer(ctx context.Context, s *vault.Session, in unwrapIn) (rewrapOut, error) {
	w, err := s.Rewrap(ctx, in.Token)
	if err != nil {
		return rewrapOut{}, err
	}
	return rewrapOut{wrapInfo{w.WrapInfo.Token, w.WrapInfo.TTL, w.WrapInfo.CreationPath}}, nil
}
