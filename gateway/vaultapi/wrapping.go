package vaultapi

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Everything about wrapped answers (Vault API, sys/wrapping and cubbyhole/response). A
// wrapping token is no credential here: it opens an answer for the caller that it was
// made for, and nobody else. One that stands in X-Vault-Token, where Vault has it, needs
// the caller's own credential beside it.

// wrapping is the token that is asked about: in the body, or where Vault has it.
func wrapping(q *request) (string, error) {
	if token := q.text("token"); token != "" {
		return token, nil
	}
	if token, ok := beside(q.http); ok {
		return token, nil
	}
	return "", call.Errorf(call.InvalidRequest, "missing token: name the wrapping token (vault unwrap TOKEN), beside a token of your own in VAULT_TOKEN")
}

// beside is a wrapping token that a request has in X-Vault-Token, with its sender's own
// credential elsewhere.
func beside(r *http.Request) (string, bool) {
	tokens := r.Header["X-Vault-Token"]
	if !ofWrapping(r) || len(tokens) != 1 || strings.HasPrefix(tokens[0], mark) || len(r.Header["Authorization"])+len(r.Header["X-Api-Key"]) == 0 {
		return "", false
	}
	return tokens[0], true
}

// ofWrapping reports whether a request is about a wrapped answer.
func ofWrapping(r *http.Request) bool {
	path := strings.Trim(strings.TrimPrefix(r.URL.Path, Prefix), "/")
	return path == "cubbyhole/response" || strings.HasPrefix(path, "sys/wrapping/")
}

// without is a request without the wrapping token beside its sender's credential.
func without(r *http.Request) *http.Request {
	if _, ok := beside(r); !ok {
		return r
	}
	other := *r
	other.Header = r.Header.Clone()
	other.Header.Del("X-Vault-Token")
	return &other
}

// explained says more about a credential that is not good where a wrapping token was taken
// for one.
func explained(r *http.Request, err error) error {
	e, ok := errors.AsType[*call.Error](err)
	if !ok || e.Code != call.Unauthenticated || !ofWrapping(r) {
		return err
	}
	more := *e
	more.Msg += "; a wrapping token is no credential here: set VAULT_TOKEN to your own and name the wrapping token (vault unwrap TOKEN)"
	return &more
}

func wrappingArgs(q *request) (map[string]any, error) {
	token, err := wrapping(q)
	return map[string]any{"token": token}, err
}

// unwrapRoute opens a wrapped answer of the caller's.
func unwrapRoute() *route {
	return &route{op: "sys.unwrap", args: wrappingArgs, reply: func(_ *request, r result) *reply { return data(r.fields["data"]) }}
}

// responseRoute is unwrapRoute as it was before Vault 0.6.2: the answer is a text.
func responseRoute() *route {
	return &route{op: "sys.unwrap", args: wrappingArgs, reply: func(q *request, r result) *reply {
		text, err := json.Marshal(reply{RequestID: q.id, Data: r.fields["data"]}, json.Deterministic(true))
		if err != nil {
			return data(nil)
		}
		return data(map[string]string{"response": string(text)})
	}}
}

// rewrapRoute puts a wrapped answer of the caller's behind another token.
func rewrapRoute() *route {
	return &route{op: "sys.rewrap", args: wrappingArgs, typed: rewrapped}
}

func rewrapped(res *op.Result) (*reply, error) {
	if a := wrapped(res); a != nil {
		return a, nil
	}
	return nil, errors.New("the answer is not wrapped")
}

// lookupWrapping describes a wrapped answer of the caller's, and opens nothing.
func (a *API) lookupWrapping(q *request) (*reply, error) {
	token, err := wrapping(q)
	if err != nil {
		return nil, err
	}
	path, at, ttl, ok := a.Wrapped(q.caller, call.Secret(token))
	if !ok {
		return nil, noWrapping()
	}
	return data(map[string]any{"creation_path": path, "creation_time": at.UTC().Format(time.RFC3339Nano), "creation_ttl": int(ttl.Seconds())}), nil
}

func noWrapping() error {
	return call.Errorf(call.InvalidRequest, "wrapping token is not valid or does not exist")
}
