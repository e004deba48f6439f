package edge_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/edge"
)

// TestACallersMissesAreOnRecord: a request that leads to no route is answered alike to
// everybody, is on record for a caller, and counts as refused for a bad credential.
func TestACallersMissesAreOnRecord(t *testing.T) {
	var missed, refused int
	e := newEdge(func(c *edge.Config) {
		c.Missed = func(_ *http.Request, c *call.Caller, err *call.Error) *call.Error {
			if c.Subject != "a" || err == nil {
				t.Errorf("got %v, %v", c, err)
			}
			missed++
			return err
		}
		c.Refused = func(*http.Request, *call.Error, string) { refused++ }
	})
	for _, c := range []struct {
		method, path string
		status       int
	}{{"GET", "/nothing", 404}, {"DELETE", "/body", 405}, {"GET", "/secrets//a", 400}, {"GET", "/secrets/a%2F..%2Fc", 400}} {
		for _, key := range []string{"good", "bad"} {
			r := httptest.NewRequestWithContext(t.Context(), c.method, "http://localhost"+c.path, nil)
			r.Header.Set("X-API-Key", key)
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("%s %s with a %s key: got %d, want %d", c.method, c.path, key, w.Code, c.status)
			}
		}
	}
	if missed != 4 || refused != 4 {
		t.Errorf("got %d on record and %d refused, want 4 and 4", missed, refused)
	}
}
