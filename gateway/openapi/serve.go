package openapi

import (
	"context"
	"net/http"
	"strconv"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// Handler answers with the document of what the caller can call. That of nobody known
// names every operation, so it is encoded once and kept.
func Handler(c *op.Catalogue, callable func(context.Context, *call.Caller, *op.Op) bool) func(http.ResponseWriter, *http.Request, *call.Caller) {
	everybodys, failed := New(c, nil).JSON()
	return func(w http.ResponseWriter, r *http.Request, who *call.Caller) {
		raw, err := everybodys, failed
		if who != nil {
			raw, err = New(c, func(o *op.Op) bool { return callable(r.Context(), who, o) }).JSON()
		}
		if err != nil {
			http.Error(w, `{"error":{"code":"internal","message":"internal error"}}`, http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(raw)))
		h.Set("Cache-Control", "private, no-cache") // it is this caller's
		_, _ = w.Write(raw)                         // the reader is gone when this fails
	}
}
