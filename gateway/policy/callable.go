package policy

import (
	"context"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Callable reports whether some call of the operation could be allowed to the
// caller. Lists are made from it, so that what is listed is what can be called.
func (e *Engine) Callable(ctx context.Context, c *call.Caller, o *op.Op) bool {
	ok, err := e.active.Load().Possible(ctx, c, o)
	return err == nil && ok
}
