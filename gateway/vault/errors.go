package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"portcullis/gateway/call"
)

// errBroken marks a connection that broke before the whole reply was read.
var errBroken = errors.New("connection to Vault broke")

// failure is everything that is known about a request that went wrong.
type failure struct {
	err  error
	resp *api.Response // nil when Vault did not answer
	req  request
	sent bool // a connection was had, so Vault may have seen the request
	gone bool // the caller has gone away
}

// mapError is the one table from what went wrong with Vault to a code. No text of
// Vault's, and no URL, gets into a public message.
func mapError(f failure) error {
	re, ok := errors.AsType[*api.ResponseError](f.err)
	if !ok {
		return mapBroken(f)
	}
	cause := fmt.Errorf("vault answered %d: %s", re.StatusCode, clip(strings.Join(re.Errors, "; ")))
	texts := strings.Join(re.Errors, "\n")
	switch re.StatusCode {
	case http.StatusBadRequest:
		return badRequest(texts, body(f.resp), cause)
	case http.StatusForbidden:
		if strings.Contains(texts, "invalid token") {
			return call.Wrap(call.VaultAuth, "Vault no longer accepts the gateway", cause)
		}
		return call.Wrap(call.Forbidden, "denied by Vault's policy", cause)
	case http.StatusNotFound:
		return &NotFoundError{Body: body(f.resp)}
	case http.StatusMethodNotAllowed:
		return call.Wrap(call.InvalidRequest, "Vault does not support this operation here", cause)
	case http.StatusPreconditionFailed:
		return retryLater(call.VaultUnavailable, "Vault has not caught up yet", f.resp, cause)
	case http.StatusRequestEntityTooLarge:
		return call.Wrap(call.BodyTooLarge, "the request is too large for Vault", cause)
	case http.StatusTooManyRequests:
		if strings.Contains(texts, "lease count") {
			return retryLater(call.LeaseQuota, "Vault's lease quota is used up", f.resp, cause)
		}
		return retryLater(call.RateLimited, "Vault limits the rate of requests", f.resp, cause)
	case http.StatusServiceUnavailable:
		return retryLater(call.VaultUnavailable, "Vault is not available", f.resp, cause)
	default:
		return call.Wrap(call.VaultError, "Vault error", cause)
	}
}

func badRequest(texts string, data []byte, cause error) error {
	switch {
	case strings.Contains(texts, "lease not found"):
		return call.Wrap(call.NotFound, "not found", cause)
	case strings.Contains(texts, "check-and-set parameter required"):
		return call.Wrap(call.CASRequired, "the secret can only be written with cas", cause)
	case strings.Contains(texts, "check-and-set"):
		return call.Wrap(call.CASMismatch, "cas does not match the current version", cause)
	}
	err := call.Wrap(call.InvalidRequest, "Vault refused the request as invalid", cause)
	if data != nil {
		return &RefusedError{Body: data, err: err}
	}
	return err
}

func retryLater(c call.Code, msg string, resp *api.Response, cause error) error {
	e := call.Wrap(c, msg, cause)
	e.RetryAfter = time.Second
	if resp != nil {
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
			e.RetryAfter = time.Duration(min(s, 3600)) * time.Second
		}
	}
	return e
}

// mapBroken maps a request that got no complete answer.
func mapBroken(f failure) error {
	cause := errors.Join(scrub(f.err), errBroken)
	timeout := errors.Is(f.err, context.DeadlineExceeded)
	if ne, ok := errors.AsType[net.Error](f.err); ok {
		timeout = timeout || ne.Timeout()
	}
	switch {
	case !f.sent && f.gone:
		return call.Wrap(call.Canceled, "the caller has gone away", cause)
	case !f.sent:
		return unavailable(cause)
	case !f.req.readOnly():
		return call.Wrap(call.OutcomeUnknown, "Vault did not answer; whether the change was made is not known", cause)
	case f.gone:
		return call.Wrap(call.Canceled, "the caller has gone away", cause)
	case timeout:
		return call.Wrap(call.VaultTimeout, "Vault did not answer in time", errors.New("timeout"))
	default:
		return call.Wrap(call.VaultTimeout, "Vault did not answer completely", cause)
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
		w, ok := err.(wrapped) //nolint:errorlint // the chain is walked by hand
		if !ok || w.Unwrap() == nil {
			return err
		}
		err = w.Unwrap()
	}
}

// NotFoundError is Vault's 404. KV v2 sends metadata with it when the version is
// soft-deleted; Body is that reply's data, nil when there is none.
type NotFoundError struct{ Body []byte }

func (*NotFoundError) Error() string { return "vault answered 404" }

// Unwrap makes it a call.Error for everybody who does not look closer.
func (*NotFoundError) Unwrap() error { return call.Errorf(call.NotFound, "not found") }

// RefusedError is Vault's 400 to a batch of which every item is bad. Body is the
// reply's data, which says so for each.
type RefusedError struct {
	Body []byte
	err  *call.Error
}

func (e *RefusedError) Error() string { return e.err.Error() }

// Unwrap makes it a call.Error for everybody who does not look closer.
func (e *RefusedError) Unwrap() error { return e.err }

// body returns the data of an error reply, nil when it has none.
func body(resp *api.Response) []byte {
	if resp == nil {
		return nil
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var env struct {
		Data json.RawMessage `json:"data"`
	}
	if err != nil || json.Unmarshal(raw, &env) != nil || string(env.Data) == "null" {
		return nil
	}
	return env.Data
}

func clip(s string) string {
	if len(s) > 300 {
		return s[:300]
	}
	return s
}
