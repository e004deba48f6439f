package vault

import "context"

// Rotate replaces the secret id now.
func (c *Client) Rotate(ctx context.Context) error { return c.rotate(ctx) }
