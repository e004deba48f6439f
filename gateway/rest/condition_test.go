package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/call"
)

// with sends a request with one header.
func with(t *testing.T, method, url, name, value, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(name, value)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

func TestConditionsBecomeCAS(t *testing.T) {
	url, got := server(t, nil)
	for _, c := range []struct{ method, header, value, body, want string }{
		{"PUT", "If-Match", `"3"`, `{"data":{}}`, `{"path":"a","cas":3,"data":{}}`},
		{"PUT", "If-Match", `W/"3"`, `{"data":{}}`, `{"path":"a","cas":3,"data":{}}`},
		{"PATCH", "If-Match", `"3-masked"`, `{"data":{}}`, `{"path":"a","cas":3,"data":{}}`},
		{"DELETE", "If-Match", `"3"`, ``, `{"path":"a","cas":3}`},
		{"PUT", "If-None-Match", `*`, `{"data":{}}`, `{"path":"a","cas":0,"data":{}}`},
		{"GET", "If-None-Match", `"9"`, ``, `{"path":"a"}`},
	} {
		resp := with(t, c.method, url+"/secrets/a", c.header, c.value, c.body)
		if resp.StatusCode >= 300 || string(got.Args) != c.want {
			t.Errorf("%s %s: %s: got %d %s, want %s", c.method, c.header, c.value, resp.StatusCode, got.Args, c.want)
		}
	}
}

// A condition that cannot be kept is never passed over.
func TestConditionsThatCannotBeKept(t *testing.T) {
	url, _ := server(t, nil)
	for _, c := range []struct{ method, path, header, value, body string }{
		{"PUT", "/secrets/a", "If-Match", `*`, `{"data":{}}`},
		{"PUT", "/secrets/a", "If-Match", `"1", "2"`, `{"data":{}}`},
		{"PUT", "/secrets/a", "If-Match", `"x"`, `{"data":{}}`},
		{"PUT", "/secrets/a", "If-Match", `"0"`, `{"data":{}}`},
		{"PUT", "/secrets/a", "If-Match", `"-1"`, `{"data":{}}`},
		{"PUT", "/secrets/a", "If-None-Match", `"1"`, `{"data":{}}`},
		{"PATCH", "/secrets/a", "If-None-Match", `*`, `{"data":{}}`},
		{"PUT", "/secrets/a", "If-Match", `"1"`, `{"data":{},"cas":2}`},
		{"DELETE", "/secrets/a?all=true", "If-Match", `"1"`, ``},
		{"POST", "/secrets/a:destroy", "If-Match", `"1"`, `{"versions":[1]}`},
		{"GET", "/secrets/a", "If-Match", `"1"`, ``},
	} {
		if resp := with(t, c.method, url+c.path, c.header, c.value, c.body); resp.StatusCode != 400 {
			t.Errorf("%s %s %s: %s: got %d, want 400", c.method, c.path, c.header, c.value, resp.StatusCode)
		}
	}
}

func TestAFailedConditionIs412(t *testing.T) {
	url, _ := server(t, call.Errorf(call.CASMismatch, "no"))
	if resp := with(t, "PUT", url+"/secrets/a", "If-Match", `"1"`, `{"data":{}}`); resp.StatusCode != 412 {
		t.Errorf("with a header: got %d, want 412", resp.StatusCode)
	}
	if resp := with(t, "PUT", url+"/secrets/a", "Accept", "*/*", `{"data":{},"cas":1}`); resp.StatusCode != 409 {
		t.Errorf("with the argument: got %d, want 409", resp.StatusCode)
	}
}
