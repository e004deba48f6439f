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
	"portcullis/gateway/vault/wire"
)

// failure is everything that is known about a request that went wrong.
type failure struct {
	err  error
	resp *api.Response // nil when Vault did not answer
	req  wire.Request
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
	data, spoke := body(f.resp)
	if spoke = spoke || emptyNotFound(f); !spoke && (re.RawError || re.Errors == nil) {
		return notVault(f, re)
	}
	texts := strings.Join(re.Errors, "\n")
	cause := fmt.Errorf("vault answered %d: %s", re.StatusCode, unsent(clip(texts), f.req.Body))
	switch re.StatusCode {
	case http.StatusBadRequest:
		return refusedByVault(texts, data, cause)
	case http.StatusForbidden:
		if strings.Contains(texts, "invalid token") {
			return call.Wrap(call.VaultAuth, "Vault no longer accepts the gateway", cause)
		}
		if strings.Contains(texts, "invalid accessor") {
			return call.Wrap(call.NotFound, "not found", cause)
		}
		return call.Wrap(call.Forbidden, "denied by Vault's policy", cause)
	case http.StatusNotFound:
		if e := explain(texts); e != nil && e.Code == call.VaultError { // no such mount
			e.Err = cause
			return e
		}
		return &NotFoundError{Body: data}
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
		return failedInVault(texts, data, cause)
	case http.StatusServiceUnavailable:
		return retryLater(call.VaultUnavailable, "Vault is not available", f.resp, cause)
	default:
		return call.Wrap(call.VaultError, "Vault error", cause)
	}
}

// refusedByVault maps a status of 400: Vault refuses the request, or something behind
// it has failed.
func refusedByVault(texts string, data []byte, cause error) error {
	switch {
	case strings.Contains(texts, "check-and-set parameter required"):
		return call.Wrap(call.CASRequired, "the secret can only be written with cas", cause)
	case strings.Contains(texts, "check-and-set"):
		return call.Wrap(call.CASMismatch, "cas does not match the current version", cause)
	}
	err := explain(texts)
	if err == nil {
		err = call.Errorf(call.InvalidRequest, "Vault refused the request as invalid")
	}
	err.Err = errors.Join(err.Err, cause)
	if data != nil {
		return &RefusedError{Body: data, err: err}
	}
	return err
}

// failedInVault maps a status of 500, which Vault answers with for mistakes of the
// caller's as well.
func failedInVault(texts string, data []byte, cause error) error {
	err := explain(texts)
	if err == nil {
		err = call.Errorf(call.VaultError, "Vault error")
	}
	err.Err = errors.Join(err.Err, cause)
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

// Unwrap makes it a call.Error for code that does not ask for its type.
func (*NotFoundError) Unwrap() error { return call.Errorf(call.NotFound, "not found") }

// RefusedError is Vault's 400 or 500 to a batch of which every item is bad. Body is the
// reply's data, which says so for each.
type RefusedError struct {
	Body []byte
	err  *call.Error
}

func (e *RefusedError) Error() string { return e.err.Error() }

// Unwrap makes it a call.Error for code that does not ask for its type.
func (e *RefusedError) Unwrap() error { return e.err }

// body returns the data of an error reply, nil when it has none, and whether the reply
// is one of Vault's, which bear an id even when they have no errors.
func body(resp *api.Response) (data []byte, spoke bool) {
	if resp == nil {
		return nil, false
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	var env struct {
		RequestID string          `json:"request_id"`
		Data      json.RawMessage `json:"data"`
	}
	if err != nil || json.Unmarshal(raw, &env) != nil {
		return nil, false
	}
	if string(env.Data) == "null" {
		env.Data = nil
	}
	return env.Data, env.RequestID != ""
}

// emptyNotFound reports whether Vault has said that there is nothing to patch. It does
// so with an empty body (KV version 2, 1.21); its answers are never to be stored.
func emptyNotFound(f failure) bool {
	return f.req.Method == wire.Patch && f.resp != nil && f.resp.StatusCode == http.StatusNotFound &&
		f.resp.Header.Get("Cache-Control") == "no-store" && f.resp.Header.Get("Content-Type") == "application/json"
}

// notVault maps an error that something between the gateway and Vault has answered
// with, such as a load balancer. Its text is not kept. It may have passed the request
// on before.
func notVault(f failure, re *api.ResponseError) error {
	status := re.StatusCode
	cause := fmt.Errorf("something else than Vault answered %d", status)
	switch {
	case status == http.StatusBadRequest && strings.Contains(strings.Join(re.Errors, ""), "HTTP request to an HTTPS server"): // net/http
		return unavailable(errors.New("there is an HTTPS server at VAULT_ADDR, which must begin with https"))
	case status == http.StatusTooManyRequests: // RFC 6585: the request was not served
		return retryLater(call.RateLimited, "too many requests on the way to Vault", f.resp, cause)
	case status == http.StatusRequestEntityTooLarge:
		return call.Wrap(call.BodyTooLarge, "the request is too large for what stands before Vault", cause)
	case !f.req.ReadOnly():
		return wire.Incomplete(f.req, cause)
	case status == http.StatusServiceUnavailable, status == http.StatusBadGateway, status == http.StatusGatewayTimeout:
		return retryLater(call.VaultUnavailable, "Vault is not available", f.resp, cause)
	default:
		return wire.Incomplete(f.req, cause)
	}
}

func clip(s string) string {
	if len(s) > 300 {
		return s[:300]
	}
	return s
}
