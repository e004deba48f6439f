package call

import (
	"errors"
	"fmt"
	"time"
)

// Error is a failure with a public face. Code and Msg go to the caller, Err goes
// to the log and nowhere else.
type Error struct {
	Code       Code
	Msg        string        // for the caller: fixed text, no data of Vault's
	Err        error         // for the log; may be nil
	RetryAfter time.Duration // when to try again, zero when unknown; see Wait
	Scopes     []string      // what the caller lacks, for InsufficientScope
	Data       any           // public facts beside the message, for example a deleted version's metadata
}

// Error is for the log: it contains Err.
func (e *Error) Error() string {
	if e.Err == nil {
		return string(e.Code) + ": " + e.Msg
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Msg, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Wait is how long to wait before the call is made again, zero when waiting does not
// help or nobody can say. What passes by itself is worth another try soon, even when
// nobody knows when it will have passed.
func (e *Error) Wait() time.Duration {
	if e.RetryAfter > 0 {
		return e.RetryAfter
	}
	switch e.Code {
	case RateLimited, LeaseQuota, VaultUnavailable, VaultAuth, PolicyTimeout, AuditUnavailable, TransformUnavailable, Overloaded:
		return time.Second
	}
	return 0
}

// Errorf makes an error with a public message.
func Errorf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Msg: fmt.Sprintf(format, args...)}
}

// Wrap makes an error whose public message is fixed and whose cause is for the log.
func Wrap(c Code, msg string, err error) *Error {
	return &Error{Code: c, Msg: msg, Err: err}
}

// storeAway is when it is worth trying again what the shared store was needed for.
const storeAway = 2 * time.Second

// StoreAway makes the error of a call that needs what replicas share, while that cannot be
// reached. An *Error that says why the store refuses stays what it is.
func StoreAway(msg string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: Overloaded, Msg: msg, RetryAfter: storeAway, Err: err}
}

// AsError returns err as an *Error. Anything that is not one is Internal and says
// nothing to the caller. It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: Internal, Msg: "internal error", Err: err}
}

// Is reports whether err is an *Error with the code.
func Is(err error, c Code) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == c
}
