package openapi

import (
	"context"
	"net/http"
	"strconv"
	"sync"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// maxKept bounds the encoded documents that are kept: one for each set of operations
// that some caller may call, of which there are as many as there are different rights.
const maxKept = 64

// Handler answers with the document of what the caller can call. That of nobody known
// names every operation.
//
// A caller pays for it like for any list: admit writes the refusal and returns false when
// it cannot. An unknown caller is bounded by the edge.
func Handler(c *op.Catalogue, callable func(context.Context, *call.Caller, *op.Op) bool, admit func(http.ResponseWriter, *http.Request, *call.Caller) bool) func(http.ResponseWriter, *http.Request, *call.Caller) {
	d := &documents{catalogue: c, encoded: map[string][]byte{}}
	return func(w http.ResponseWriter, r *http.Request, who *call.Caller) {
		if who != nil && !admit(w, r, who) {
			return
		}
		raw, err := d.of(func(o *op.Op) bool { return who == nil || callable(r.Context(), who, o) })
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

// documents keeps documents encoded, by the operations that are in them: encoding one
// costs milliseconds.
type documents struct {
	catalogue *op.Catalogue

	mu      sync.Mutex // guards encoded
	encoded map[string][]byte
}

// of returns the document of the operations that may returns true for.
func (d *documents) of(may func(*op.Op) bool) ([]byte, error) {
	key := make([]byte, len(d.catalogue.All()))
	kept := map[*op.Op]bool{}
	for i, o := range d.catalogue.All() {
		if kept[o] = may(o); kept[o] {
			key[i] = 1
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if raw := d.encoded[string(key)]; raw != nil {
		return raw, nil
	}
	raw, err := New(d.catalogue, func(o *op.Op) bool { return kept[o] }).JSON()
	if err != nil {
		return nil, err
	}
	if len(d.encoded) >= maxKept {
		clear(d.encoded)
	}
	d.encoded[string(key)] = raw
	return raw, nil
}
