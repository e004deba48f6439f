package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"portcullis/gateway/call"
)

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
		if strings.Contains(texts, "invalid accessor") {
			return call.Wrap(call.NotFound, "not found", cause)
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
	case http.StatusInternalServerError:
		if strings.Contains(texts, "active cluster node not found") { // of a standby, while no node leads
			return retryLater(call.VaultUnavailable, "Vault is not available", f.resp, cause)
		}
		return call.Wrap(call.VaultError, "Vault error", cause)
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
