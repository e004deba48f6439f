package rest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// FuzzRequest: whatever the target, the query, a header and the body of a request are,
// the answer is one of those that the contract knows and a JSON object, and a call
// that comes of it names no unclean path.
func FuzzRequest(f *testing.F) {
	for _, target := range []string{
		"/secrets/a/b", "/secrets/a%2Fb", "/secrets/%2e%2e/x", "/secrets/a:destroy", "/secrets/a%3Adestroy", "/secrets//a", "/secrets?prefix=%00",
		"/transit/encrypt", "/db/creds/r", "/whoami?x=1&x=2", "/ssh/sign", "/secrets/\u00fc", "/secrets/a?version=-1", "/%", "//secrets/a",
	} {
		f.Add(0, target, "1", []byte(`{"data":{"a":1}}`))
		f.Add(2, target, "60s", []byte(`{`))
	}
	methods := []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodHead, "LIST"}
	headers := []string{"X-Vault-Wrap-TTL", "X-Portcullis-Deliver", "If-Match", "If-None-Match", "Content-Type", "Traceparent"}
	handler, got := handler(f, nil)
	f.Fuzz(func(t *testing.T, n int, target, value string, body []byte) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" || strings.ContainsAny(value, "\r\n\x00") {
			return // net/http answers these itself
		}
		*got = op.Request{}
		r := httptest.NewRequest(methods[uint(n)%uint(len(methods))], "/", bytes.NewReader(body))
		r.URL, r.RequestURI = u, target
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(headers[uint(n)%uint(len(headers))], value)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		known := []int{200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 409, 412, 413, 415, 428, 429}
		if !slices.Contains(known, w.Code) {
			t.Errorf("%s %s: got %d %s", r.Method, target, w.Code, w.Body)
		}
		if w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: got %q", r.Method, target, w.Body)
		}
		var args struct{ Path string }
		if got.Bad == nil && json.Unmarshal(got.Args, &args) == nil && w.Code < 300 && args.Path != "" && !strings.Contains(args.Path, "://") {
			if _, err := call.ParsePath(args.Path); err != nil {
				t.Errorf("%s %s: the call names %q", r.Method, target, args.Path)
			}
		}
	})
}
