package vaultapi

import (
	"net/http"

	"github.com/go-json-experiment/json"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
)

// Status is the status that Vault has for a code (Vault API, "HTTP status codes").
func Status(c call.Code) int {
	switch c {
	case call.Unauthenticated, call.AmbiguousCredentials:
		return http.StatusForbidden
	case call.CASMismatch, call.CASRequired:
		return http.StatusBadRequest
	case call.VaultError, call.TransformFailed, call.Internal:
		return http.StatusInternalServerError
	}
	return edge.Status(c)
}

// Vault's own texts, which clients look for.
const (
	denied      = "1 error occurred:\n\t* permission denied\n\n"
	badToken    = "permission denied"
	casMismatch = "check-and-set parameter did not match the current version"
	casRequired = "check-and-set parameter required for this call"
)

// texts are the errors of an answer: Vault's text first where it has one, then what the
// gateway has to say. Of what is not there Vault says nothing.
func texts(e *call.Error) []string {
	switch e.Code {
	case call.NotFound:
		return []string{}
	case call.Unauthenticated, call.AmbiguousCredentials:
		return []string{badToken, e.Msg}
	case call.Forbidden, call.InsufficientScope, call.OnBehalfOfRequired, call.PolicyError:
		return []string{denied, e.Msg}
	case call.CASMismatch:
		return []string{casMismatch}
	case call.CASRequired:
		return []string{casRequired}
	}
	return []string{e.Msg}
}

// WriteError answers with an error in Vault's form: {"errors":[...]}. A version that is
// deleted is an answer with its metadata and without data.
func WriteError(w http.ResponseWriter, err error, decisionID string) {
	e := call.AsError(err)
	edge.SetRetryAfter(w.Header(), e)
	if decisionID != "" {
		w.Header().Set("X-Decision-Id", decisionID)
	}
	var body any = map[string]any{"errors": texts(e)}
	if e.Code == call.Deleted {
		body = deleted(w.Header().Get("X-Request-Id"), e)
	}
	raw, merr := json.Marshal(body)
	if merr != nil {
		raw = []byte(`{"errors":["internal error"]}`)
	}
	edge.WriteJSON(w, Status(e.Code), raw)
}

// deleted is what KV version 2 answers about a deleted version, with status 404.
func deleted(id string, e *call.Error) *reply {
	facts, _ := e.Data.(map[string]any)
	metadata := map[string]any{"deletion_time": "", "destroyed": false, "custom_metadata": nil} // which Vault never leaves out
	if raw, err := json.Marshal(facts["metadata"]); err == nil {
		_ = json.Unmarshal(raw, &metadata) // what the gateway has made is an object
	}
	return &reply{RequestID: id, MountType: "kv", Data: map[string]any{"data": nil, "metadata": metadata}}
}
