package vaulttest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/vault/vaulttest"
)

func TestProxy(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(srv.Close)
	p := vaulttest.StartProxy(t, srv.URL)
	cases := map[string]struct {
		fault vaulttest.Fault
		works bool
		hits  int
	}{
		"nothing":       {works: true, hits: 1},
		"another path":  {fault: vaulttest.Fault{Match: "/other", Cut: true}, works: true},
		"cut":           {fault: vaulttest.Fault{Match: "/x", Cut: true}, hits: 1},
		"truncated":     {fault: vaulttest.Fault{Match: "/x", Cut: true, Bytes: 20}, hits: 1},
		"refused":       {fault: vaulttest.Fault{Match: "/x", Refuse: true}, hits: 1},
		"halfway":       {fault: vaulttest.Fault{Match: "/x", In: 20}, hits: 1},
		"delayed":       {fault: vaulttest.Fault{Match: "/x", Delay: time.Millisecond}, works: true, hits: 1},
		"times are out": {fault: vaulttest.Fault{Match: "/x", Cut: true, Times: 1}, hits: 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p.Break(tc.fault)
			defer p.Heal()
			if got := fetch(t, p.Addr+"/x"); got != tc.works || p.Hits() != tc.hits {
				t.Errorf("works: got %v, want %v; %d hits, want %d", got, tc.works, p.Hits(), tc.hits)
			}
			if tc.fault.Times > 0 && !fetch(t, p.Addr+"/x") {
				t.Error("the fault strikes more often than it should")
			}
		})
	}
}

// fetch sends a request on a connection of its own, which nothing repeats.
func fetch(t *testing.T, url string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return err == nil && string(raw) == "hello"
}
