package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
	"portcullis/gateway/e2e/stack"
)

// ask sends a request to the administrators' listener with a token of these scopes, or
// with none at all.
func ask(t *testing.T, g *stack.Gateway, method, path, body, scopes string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.AdminURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if scopes != "" {
		req.Header.Set("Authorization", "Bearer "+e2e.Token(canarySigner, "sub=admin scopes="+scopes))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// asSubject is the status that a caller with a token gets.
func asSubject(t *testing.T, g *stack.Gateway, subject string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", g.URL+"/whoami", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+e2e.Token(canarySigner, "sub="+subject))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestEveryAdminRouteAsksForItsScope: the listener's own list names the routes. Each is
// refused without a credential, and with every scope there is but its own.
func TestEveryAdminRouteAsksForItsScope(t *testing.T) {
	g := e2e.StartGateway(t, e2e.StartVault(t), "ADMIN_ADDR=127.0.0.1:0", "JWT_HS256_SECRET="+canarySigner, "LOG_LEVEL=info")
	if status, body := ask(t, g, "GET", "/", "", ""); status != 401 {
		t.Errorf("the list without a credential: got %d %s", status, body)
	}
	_, raw := ask(t, g, "GET", "/", "", "read")
	var list struct {
		Routes []struct{ Method, Path, Scope string }
	}
	if err := json.Unmarshal([]byte(raw), &list); err != nil || len(list.Routes) < 10 {
		t.Fatalf("got %s: %v", raw, err)
	}
	all := []string{"read", "write", "delete", "list"}
	for _, r := range list.Routes {
		all = append(all, r.Scope)
	}
	for _, r := range list.Routes {
		path := strings.NewReplacer("*path", "heap", ":id", "x").Replace(r.Path)
		others := []string{}
		for _, s := range all {
			if s != r.Scope {
				others = append(others, s)
			}
		}
		if status, body := ask(t, g, r.Method, path, "{}", ""); status != 401 {
			t.Errorf("%s %s without a credential: got %d %s", r.Method, path, status, body)
		}
		if status, body := ask(t, g, r.Method, path, "{}", strings.Join(others, ",")); status != 403 || !strings.Contains(body, r.Scope) {
			t.Errorf("%s %s with every other scope: got %d %s", r.Method, path, status, body)
		}
		if status, body := ask(t, g, r.Method, path, "{}", r.Scope); status == 401 || status == 403 || status >= 500 {
			t.Errorf("%s %s with its scope: got %d %s", r.Method, path, status, body)
		}
	}
	if resp, _ := e2e.Do(t, "GET", g.URL+"/metrics", ""); resp.StatusCode != 404 {
		t.Errorf("callers' listener serves metrics as well: %d", resp.StatusCode)
	}
}

// TestAdministratorsChangeTheRunningGateway: the level of the logs changes at once, and a
// caller that is revoked is shut out from the next call on. Both are in the evidence.
func TestAdministratorsChangeTheRunningGateway(t *testing.T) {
	v := e2e.StartVault(t)
	g := e2e.StartGateway(t, v, "ADMIN_ADDR=127.0.0.1:0", "JWT_HS256_SECRET="+canarySigner, "DENY_LIST_FILE=deny.jsonl")
	must := func(method, path, body, scope, want string) {
		t.Helper()
		if status, raw := ask(t, g, method, path, body, scope); status != 200 || !strings.Contains(raw, want) {
			t.Errorf("%s %s: got %d %s, want %s", method, path, status, raw, want)
		}
	}
	must("PUT", "/log-level", `{"level":"error"}`, "admin:log", `"level":"error"`)
	e2e.Do(t, "GET", g.URL+"/whoami", "")
	must("PUT", "/log-level", `{"level":"info"}`, "admin:log", `"level":"info"`)
	e2e.Do(t, "PUT", g.URL+"/secrets/x", `{"data":{"a":"b"}}`)
	must("GET", "/policy", "", "admin:policy", `"revision":"`)
	must("GET", "/leases", "", "admin:leases", `"leases":[]`)
	must("GET", "/sinks", "", "admin:evidence", `"sinks":[]`)
	must("GET", "/metrics", "", "admin:metrics", "portcullis_calls_total")
	must("GET", "/debug/pprof/goroutine?debug=1", "", "admin:pprof", "goroutine profile")
	e2e.Eventually(t, "a checkpoint", func() bool {
		status, raw := ask(t, g, "GET", "/checkpoint", "", "admin:evidence")
		return status == 200 && strings.Contains(raw, "\n\n— ")
	})
	must("POST", "/revoke", `{"subject":"agent_api","reason":"test"}`, "admin:revoke", `"ok":true`)
	if resp, body := e2e.Do(t, "GET", g.URL+"/whoami", ""); resp.StatusCode != 401 {
		t.Errorf("a revoked caller got %d %s", resp.StatusCode, body)
	}
	for body, want := range map[string]int{`{"level":"loud"}`: 400, `{"level":"info","more":1}`: 400, `[]`: 400} {
		if status, raw := ask(t, g, "PUT", "/log-level", body, "admin:log"); status != want {
			t.Errorf("PUT /log-level %s: got %d %s", body, status, raw)
		}
	}
	for _, query := range []string{"profile?seconds=3600", "heap?seconds=61", "trace?seconds=-1", "profile?seconds=NaN", "profile?seconds=1h"} {
		if status, raw := ask(t, g, "GET", "/debug/pprof/"+query, "", "admin:pprof"); status != 400 {
			t.Errorf("%s: got %d %.100s", query, status, raw)
		}
	}
	for _, body := range []string{`{"subject":"` + strings.Repeat("a", 1025) + `"}`, `{"subject":"a","until":"2020-01-01T00:00:00Z"}`} {
		if status, raw := ask(t, g, "POST", "/revoke", body, "admin:revoke"); status != 400 {
			t.Errorf("%.60s: got %d %s", body, status, raw)
		}
	}
	for _, subject := range []string{"auth0|7", "a.b@example.com", "repo:acme/app", "-odd.", "\u00e9"} { // as issuers have them
		before := asSubject(t, g, subject)
		must("POST", "/revoke", fmt.Sprintf(`{"subject":%q}`, subject), "admin:revoke", `"ok":true`)
		if after := asSubject(t, g, subject); before != 200 || after != 401 {
			t.Errorf("%s: got %d before it was revoked and %d after", subject, before, after)
		}
	}
	if status, raw := ask(t, g, "POST", "/readmit", `{"subject":"nobody","tenant":"acme"}`, "admin:revoke"); status != 404 && status != 400 {
		t.Errorf("nobody was readmitted: got %d %s", status, raw)
	}
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
	seen := map[string]int{}
	for _, l := range e2e.Lines(t, g.AuditFile()) {
		args, _ := json.Marshal(l["args"]) // what was decoded
		seen[fmt.Sprintln(l["type"], l["op"], l["code"], string(args))]++
	}
	revoked := `{"reason":"test","subject":"agent_api"}`
	for line, want := range map[string]int{
		"intent admin.revoke <nil> " + revoked: 1, "outcome admin.revoke ok " + revoked: 1, "refusal admin.revoke invalid_request null": 2,
		`outcome admin.readmit not_found {"subject":"nobody","tenant":"acme"}`: 1,
		`outcome admin.log-level ok {"level":"INFO"}`:                          1, "refusal admin.log-level invalid_request null": 3,
	} {
		if seen[line+"\n"] != want {
			t.Errorf("got %d lines %q, want %d, of %v", seen[line+"\n"], line, want, seen)
		}
	}
	if text := logged(t, g, "responses.log"); strings.Contains(text, `"op":"self.whoami"`) && !strings.Contains(text, `"lvl":"WARN"`) {
		t.Errorf("what was below the level is in the log:\n%s", text)
	}
}
