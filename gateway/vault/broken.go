package vault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"portcullis/gateway/call"
)

// errBroken marks a connection that broke after it was had and before the whole
// reply was read.
var errBroken = errors.New("connection to Vault broke")

// errUnanswered marks a request that reached Vault and got no complete answer.
var errUnanswered = errors.New("no complete answer from Vault")

// mapBroken maps a request that got no complete answer.
func mapBroken(f failure) error {
	cause := scrub(f.err)
	if f.sent {
		cause = errors.Join(errUnanswered, cause)
	}
	timeout := errors.Is(f.err, context.DeadlineExceeded)
	if ne, ok := errors.AsType[net.Error](f.err); ok {
		timeout = timeout || ne.Timeout()
	}
	switch {
	case !f.sent && f.gone:
		return call.Wrap(call.Canceled, "the caller has gone away", cause)
	case !f.sent:
		return unavailable(cause)
	case !f.req.ReadOnly():
		return call.Wrap(call.OutcomeUnknown, "Vault did not answer; whether the change was made is not known", cause)
	case f.gone:
		return call.Wrap(call.Canceled, "the caller has gone away", cause)
	case timeout:
		return call.Wrap(call.VaultTimeout, "Vault did not answer in time", cause)
	default:
		return call.Wrap(call.VaultTimeout, "Vault did not answer completely", errors.Join(cause, errBroken))
	}
}

func unavailable(err error) error {
	e := call.Wrap(call.VaultUnavailable, "Vault is not available", scrub(err))
	e.RetryAfter = time.Second
	return e
}

// scrub drops the URL that net/http puts into its errors.
func scrub(err error) error {
	type wrapped interface{ Unwrap() error }
	for {
		op, ok := errors.AsType[*net.OpError](err)
		if ok {
			return fmt.Errorf("%s: %w", op.Op, op.Err)
		}
		w, ok := err.(wrapped)
		if !ok || w.Unwrap() == nil {
			return err
		}
		err = w.Unwrap()
	}
}
