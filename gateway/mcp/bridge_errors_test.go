package mcp_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"portcullis/gateway/mcp/bridge"
)

// answering is a server that answers everything in one way.
func answering(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Location", "https://elsewhere.example/mcp")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// TestBridgeSaysWhatIsWrong: whatever the address answers with, a request gets
// one answer that says what it means, and the reason is told.
func TestBridgeSaysWhatIsWrong(t *testing.T) {
	const other = `{"jsonrpc":"2.0","id":2,"result":{}}`
	for name, tc := range map[string]struct {
		h    http.HandlerFunc
		want string
	}{
		"bad credential":   {answering(401, "application/json", `{"error":{"code":"ambiguous_credentials","message":"x","request_id":"r7"}}`), `from a file (401 ambiguous_credentials)","data":{"code":"ambiguous_credentials"`},
		"401 of a proxy":   {answering(401, "text/html", `<html>`), `(401 unauthenticated)`},
		"refused":          {answering(403, "application/json", `{"error":{"code":"forbidden","message":"this Host is not served here"}}`), `this Host is not served here (403 forbidden)`},
		"limited":          {answering(429, "application/json", `{"error":{"code":"rate_limited","message":"slow down","retry_after_s":1.5}}`), `"retry_after_s":2`},
		"too large":        {answering(413, "application/json", `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"the body is too large"}}`), `the body is too large (413`},
		"another service":  {answering(404, "text/html", `<html>`), `no MCP endpoint at http`},
		"no POST there":    {answering(405, "text/html", ``), `no MCP endpoint at http`},
		"another page":     {answering(200, "text/html", `<html>`), `answers 200 without an MCP message`},
		"a broken proxy":   {answering(502, "text/html", `<html>`), `answers 502 without an MCP message`},
		"TLS is wanted":    {answering(400, "text/plain", "Client sent an HTTP request to an HTTPS server.\n"), `use https://`},
		"redirect":         {answering(307, "text/html", ``), `redirects (307) to \"https://elsewhere.example/mcp\"`},
		"nothing":          {answering(202, "application/json", ``), `answers 202 without an MCP message`},
		"another's answer": {answering(200, "application/json", other), `answers 200 without an MCP message`},
		"stream that ends": {answering(200, "text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\ndata: "+other+"\n\n"), `"code":"outcome_unknown"`},
		"connection cut":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, `"code":"outcome_unknown"`},
		"answer cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0"`)
		}, `"code":"outcome_unknown"`},
		"an answer in lines": {answering(200, "application/json", "{\"jsonrpc\":\"2.0\",\n \"id\":1,\n \"result\":{}}\n"), `{"jsonrpc":"2.0","id":1,"result":{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(tc.h)
			defer srv.Close()
			answer, err := oneAnswer(t, srv.URL, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
			if !strings.Contains(answer, tc.want) || !strings.HasPrefix(answer, `{"jsonrpc":"2.0","id":1,`) {
				t.Errorf("got %s, want %s", answer, tc.want)
			}
			if failed := strings.Contains(answer, `"error"`); failed != (err != nil) || failed && !strings.Contains(answer, strings.ReplaceAll(err.Error(), `"`, `\"`)) {
				t.Errorf("told of %v, answered %s", err, answer)
			}
		})
	}
}

// oneAnswer is what a request on stdio is answered with at the end, and what was told
// of it.
func oneAnswer(t *testing.T, url string, client *http.Client) (answer string, told error) {
	t.Helper()
	var out strings.Builder
	r := &bridge.Bridge{
		URL: url + "/mcp", Client: client, Out: &out, Credential: "a file",
		Sign: func(*http.Request) error { return nil }, Report: func(err error) { told = err },
	}
	if err := r.Serve(t.Context(), strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1], told
}

// TestBridgeStreamBreaks: who listens learns that nothing more comes.
func TestBridgeStreamBreaks(t *testing.T) {
	l := newLive(t)
	p := serve(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		return (&bridge.Bridge{URL: l.URL, Client: l.Client(), Out: out, Sign: func(*http.Request) error { return nil }}).Serve(ctx, in)
	})
	p.ask(t, `{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+modernMeta+`}}`)
	l.Server.CloseClientConnections()
	if got := p.hear(t); !strings.Contains(got, `"id":"l","error"`) || !strings.Contains(got, "listen again") {
		t.Errorf("got %s", got)
	}
}

func TestBridgeAndTLS(t *testing.T) {
	secure, open := httptest.NewUnstartedServer(http.NotFoundHandler()), httptest.NewServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	defer secure.Close()
	defer open.Close()
	for url, want := range map[string]string{
		secure.URL: "certificate is not trusted",
		"http" + strings.TrimPrefix(secure.URL, "https"): "use https://",
		"https" + strings.TrimPrefix(open.URL, "http"):   "use http://",
		"http://127.0.0.1:1":                             "connection refused",
	} {
		if answer, err := oneAnswer(t, url, http.DefaultClient); err == nil || !strings.Contains(answer, want) {
			t.Errorf("%s: got %s, want %s", url, answer, want)
		}
	}
}

// TestBridgeLosesItsCredential: the session is gone and the credential as well,
// and it is the credential that is spoken of.
func TestBridgeLosesItsCredential(t *testing.T) {
	l := newLive(t)
	refuse := make(chan bool, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case len(refuse) == 0:
			l.Config.Handler.ServeHTTP(w, r)
		case r.Header.Get("Mcp-Session-Id") != "":
			w.WriteHeader(http.StatusNotFound)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer srv.Close()
	p := serve(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		r := &bridge.Bridge{URL: srv.URL + "/mcp", Client: srv.Client(), Out: out, Sign: func(*http.Request) error { return nil }, Credential: "a file"}
		return r.Serve(ctx, in)
	})
	p.ask(t, initialize)
	refuse <- true
	if got := p.ask(t, `{"jsonrpc":"2.0","id":5,"method":"ping"}`); !strings.Contains(got, `"id":5,"error"`) || !strings.Contains(got, "does not accept the credential from a file") {
		t.Errorf("got %s", got)
	}
}
