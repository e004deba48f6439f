package ops

import (
	"context"

	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

// minter is implemented by results that hold a lease.
type minter interface{ Minted() string }

// Undo revokes what an operation minted when its result cannot be delivered.
func Undo(ctx context.Context, s *vault.Session, _ *op.Bound, out any) error {
	if m, ok := out.(minter); ok && m.Minted() != "" {
		return s.TakeBack(ctx, m.Minted())
	}
	return nil
}
