package firm

import (
	"context"
	"fmt"

	"portcullis/gateway/call"
)

// Vault keeps documents for all replicas: each is a secret of a KV version 2 mount, written
// with its cas option.
type Vault struct {
	// Client reads and writes them; its error is call.CASMismatch for another version.
	Client interface {
		ReadDocument(ctx context.Context, name string) ([]byte, int, error)
		WriteDocument(ctx context.Context, name string, data []byte, version int) (int, error)
	}
}

// Read implements Store.
func (v Vault) Read(ctx context.Context, name string) ([]byte, int, error) {
	return v.Client.ReadDocument(ctx, name)
}

// Write implements Store.
func (v Vault) Write(ctx context.Context, name string, data []byte, version int) (int, error) {
	n, err := v.Client.WriteDocument(ctx, name, data, version)
	if call.Is(err, call.CASMismatch) {
		return 0, fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return n, err
}
