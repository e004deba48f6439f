package server

import (
	"context"

	"portcullis/gateway/audit/tree"
)

// evidenceSigner signs checkpoints with a key that Vault keeps; nil for one in a file.
func (g *Server) evidenceSigner() tree.Signer {
	if g.cfg.AuditSignTransit == "" {
		return nil
	}
	return func(ctx context.Context, text []byte) (tree.Signature, error) {
		public, signature, err := g.vault.Sign(ctx, text)
		return tree.Signature{Public: public, Bytes: signature}, err
	}
}
