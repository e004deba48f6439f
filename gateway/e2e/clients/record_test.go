//go:build clients

package clients_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// sent are the headers of a request that are recorded.
func sent() []string {
	return []string{"X-Vault-Token", "X-Vault-Request", "X-Vault-Wrap-Ttl", "Authorization", "Content-Type"}
}

// recorder stands between a client and a side, and notes what they say.
type recorder struct {
	token string

	mu   sync.Mutex // guards the fields below
	all  []exchange
	seen []value
}

// value is a text of an answer that a later request may have in it.
type value struct{ text, reference string }

// long is how long a text is that is not taken for a word, in bytes.
const long = 20

// recorded are sides whose conversations with a client are written down when the test has
// passed. TestRecordings replays them.
func recorded(t *testing.T, client string, sides []side) []side {
	t.Helper()
	out := make([]side, len(sides))
	for i, s := range sides {
		target, err := url.Parse(s.addr)
		if err != nil {
			t.Fatal(err)
		}
		r := &recorder{token: s.token}
		proxy := &httputil.ReverseProxy{
			Rewrite:        func(p *httputil.ProxyRequest) { p.SetURL(target); p.Out.Header.Del("Accept-Encoding") },
			ModifyResponse: r.note,
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				t.Error(err)
			}
			req.Body = io.NopCloser(bytes.NewReader(body))
			r.asked(req, body)
			proxy.ServeHTTP(w, req)
		}))
		t.Cleanup(func() {
			server.Close()
			if !t.Failed() {
				r.write(t, recording(client, s.name))
			}
		})
		out[i] = s
		out[i].addr = server.URL
	}
	return out
}

func (r *recorder) asked(req *http.Request, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := exchange{Method: req.Method, URI: r.general(req.URL.RequestURI()), Body: r.general(string(body)), Headers: map[string]string{}}
	for _, name := range sent() {
		if v := req.Header.Get(name); v != "" {
			e.Headers[name] = r.general(v)
		}
	}
	r.all = append(r.all, e)
}

// general is a text with references in the place of what differs from run to run.
func (r *recorder) general(text string) string {
	text = strings.ReplaceAll(text, r.token, "<TOKEN>")
	for _, v := range r.seen {
		text = strings.ReplaceAll(text, v.text, "<"+v.reference+">")
	}
	return text
}

func (r *recorder) note(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.all) - 1
	r.all[n].answered(resp.StatusCode, resp.Header, body)
	var v any
	if json.Unmarshal(body, &v) == nil {
		r.remember(v, fmt.Sprint(n))
	}
	return nil
}

func (r *recorder) remember(v any, at string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			r.remember(v[k], at+"."+k)
		}
	case string:
		if len(v) >= long && v != r.token {
			r.seen = append(r.seen, value{v, at})
		}
	}
}

func (r *recorder) write(t *testing.T, file string) {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for _, e := range r.all {
		if err := enc.Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
