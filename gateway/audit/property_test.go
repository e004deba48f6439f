package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/audit"
	"portcullis/gateway/call"
	"portcullis/gateway/edge"
	"portcullis/gateway/mcp"
	"portcullis/gateway/obs"
	"portcullis/gateway/op"
	"portcullis/gateway/ops"
	"portcullis/gateway/rest"
	"portcullis/gateway/transform/native"
)

// hostile makes texts of what the redactor, JSON and shells have an eye for.
type hostile struct{ *rand.Rand }

func pieces() []string {
	return []string{
		`"`, `\`, `\"`, `"token":{`, `"token":"`, `"password": `, `{`, `}`, `[`, `]`, `,`, ":", "=", "token=hidden", "Authorization: Bearer ",
		"-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "AKIAIOSFODNN7EXAMPLE", "hvs.CAESIJ4example0example0", "eyJhbGciOi.eyJzdWIi.sig",
		"ghp_abcdefghijklmnopqrstuvwxyz0123", "postgres://a:b@c", "_____", "\x00", "\n", "\u2028", "\x7f", "é", "日本", "\U0001F600", " ", "a", "app", "0",
		`","op":"kv.read","path":"x","code":"ok`, "kv.read", "[redacted]", "../", "%2e", "?", "#", "*", "+", "<>&", "'",
	}
}

func (h hostile) text(most int) string {
	var b strings.Builder
	all := pieces()
	for range h.IntN(most) {
		b.WriteString(all[h.IntN(len(all))])
	}
	if h.IntN(200) == 0 {
		b.WriteString(strings.Repeat(all[h.IntN(len(all))], 3000))
	}
	return b.String()
}

// path is one that is accepted, most of the time.
func (h hostile) path() string {
	var segments []string
	for range 1 + h.IntN(3) {
		s := h.text(4)
		if h.IntN(20) > 0 {
			s = strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f || strings.ContainsRune(`/?#%\*`, r) {
					return -1
				}
				return r
			}, s) + "x"
		}
		segments = append(segments, s)
	}
	return strings.Join(segments, "/")
}

// value is a value for a schema, or for none.
func (h hostile) value(name string, s *jsonschema.Schema) any {
	if h.IntN(40) == 0 {
		return []any{h.text(3), 1.5, map[string]any{h.text(3): h.text(3)}}[h.IntN(3)]
	}
	switch {
	case len(s.Enum) > 0 && h.IntN(8) > 0:
		return s.Enum[h.IntN(len(s.Enum))]
	case name == "path" || name == "prefix":
		return h.path()
	case s.Type == "string" && s.Pattern != "" && h.IntN(8) > 0:
		return "name-" + strconv.Itoa(h.IntN(9))
	case s.Type == "integer" || slices.Contains(s.Types, "integer"):
		return h.IntN(3)
	case s.Type == "boolean":
		return h.IntN(2) == 0
	case s.Type == "array":
		list := []any{}
		for range 1 + h.IntN(3) {
			list = append(list, h.value("", s.Items))
		}
		return list
	case s.Type == "object":
		m := map[string]any{}
		for k, p := range s.Properties {
			if slices.Contains(s.Required, k) || h.IntN(2) == 0 {
				m[k] = h.value(k, p)
			}
		}
		if len(s.Properties) == 0 {
			m[h.text(4)] = h.text(4)
		}
		return m
	}
	return h.text(6)
}

// arguments are arguments of an operation: the required ones, and some others.
func (h hostile) arguments(o *op.Op) map[string]any {
	args := map[string]any{}
	for name, s := range o.In.Properties {
		if slices.Contains(o.In.Required, name) || h.IntN(3) == 0 {
			args[name] = h.value(name, s)
		}
	}
	return args
}

// front is REST and MCP before a pipeline that binds and records.
type front struct {
	cat  *op.Catalogue
	log  *audit.Log
	edge *edge.Edge
	mcp  *mcp.Server
	want []want
}

// want is what the lines of a call must say.
type want struct{ kind, id, op, path, code, subject string }

func newFront(t testing.TB, path string) *front {
	t.Helper()
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	floor := native.New()
	floor.Learn("kv.read", "secret", "name-1", "forbidden")
	f := &front{cat: cat, log: audit.Open(audit.Config{Path: path, Redact: floor.AppendValue})}
	caller := &call.Caller{Subject: "agent", Method: call.APIKey}
	f.edge = edge.New(edge.Config{
		Authenticate: func(*http.Request) (*call.Caller, error) { return caller, nil },
		Challenge:    func(*http.Request, *call.Error) string { return "" },
		Anonymous:    func(error) bool { return false },
		ClientIP:     func(*http.Request) string { return "" }, MaxBody: 1 << 20, BodyTimeout: time.Minute, Loopback: true,
		Log: slog.New(slog.DiscardHandler), Server: slog.New(slog.DiscardHandler), Meter: obs.NewMeter(),
	})
	if err := (&rest.API{Do: f.do}).Mount(f.edge, cat); err != nil {
		t.Fatal(err)
	}
	f.mcp = mcp.New(mcp.Config{
		Catalogue: cat, KVMount: "secret", Version: "test", Do: f.do,
		Callable: func(context.Context, *call.Caller, *op.Op) bool { return true },
	})
	f.edge.Handle(http.MethodPost, "/mcp/rpc", f.mcp.ServeRPC)
	return f
}

// do records what the pipeline would: a refusal of what does not bind, an intent and
// an outcome of the rest.
func (f *front) do(_ context.Context, r *op.Request) (*op.Result, error) {
	rec := &op.Record{Request: r, Start: time.Now()}
	var err error
	if rec.Bound, err = f.cat.Bind(r); err != nil {
		rec.Err = call.AsError(err)
		f.want = append(f.want, want{"refusal", r.ID, r.Op, "", rec.Code(), "agent"})
		return &op.Result{}, firstOf(f.log.Refusal(rec), err)
	}
	denied := call.Errorf(call.Forbidden, "denied")
	w := want{"intent", r.ID, r.Op, rec.Bound.Resource.Path.String(), "", "agent"}
	f.want = append(f.want, w)
	if err := f.log.Intent(rec); err != nil {
		return nil, err
	}
	rec.Err = denied
	w.kind, w.code = "outcome", "forbidden"
	f.want = append(f.want, w)
	return &op.Result{}, firstOf(f.log.Outcome(rec), denied)
}

// rest sends a call as a REST request.
func (f *front) rest(o *op.Op, args map[string]any, id string) {
	target, body := o.Path, ""
	if i := strings.IndexAny(target, "*"); i >= 0 {
		name, verb, has := strings.Cut(target[i+1:], ":")
		target = target[:i] + escapePath(fmt.Sprint(args[name]))
		delete(args, name)
		if has {
			target += ":" + verb
		}
	} else if i := strings.Index(target, "/:"); i >= 0 {
		name, rest, _ := strings.Cut(target[i+2:], "/")
		target = strings.TrimSuffix(target[:i+1]+escapePath(fmt.Sprint(args[name]))+"/"+rest, "/")
		delete(args, name)
	}
	if o.Method == http.MethodGet || o.Method == http.MethodDelete {
		q := url.Values{}
		for k, v := range args {
			q.Set(k, fmt.Sprint(v))
		}
		target += "?" + q.Encode()
	} else {
		raw, _ := json.Marshal(args)
		body = string(raw)
	}
	r, err := http.NewRequest(o.Method, "http://localhost"+target, strings.NewReader(body))
	if err != nil {
		return // no URL, so no request
	}
	r.Header.Set("X-Request-Id", id)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	f.edge.ServeHTTP(httptest.NewRecorder(), r)
}

func escapePath(p string) string {
	var segments []string
	for s := range strings.SplitSeq(p, "/") {
		segments = append(segments, strings.ReplaceAll(url.PathEscape(s), ":", "%3A"))
	}
	return strings.Join(segments, "/")
}

// rpc sends a call as an MCP tool call.
func (f *front) rpc(o *op.Op, args map[string]any, id string) {
	raw, _ := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{"name": o.Name, "arguments": args},
	})
	r, _ := http.NewRequest(http.MethodPost, "http://localhost/mcp/rpc", strings.NewReader(string(raw)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Request-Id", id)
	f.edge.ServeHTTP(httptest.NewRecorder(), r)
}

// TestWhoCallsCannotShapeTheEvidence: whatever the arguments of any operation are,
// over REST and MCP, each line is one JSON object whose path, operation, code and
// subject are exact. GENERATED_CALLS says how many calls are made up.
func TestWhoCallsCannotShapeTheEvidence(t *testing.T) {
	calls := 100_000
	if n, err := strconv.Atoi(os.Getenv("GENERATED_CALLS")); err == nil {
		calls = n
	}
	if testing.Short() {
		calls = 5_000
	}
	seed := rand.Uint64()
	h := hostile{rand.New(rand.NewPCG(seed, 1))}
	dir := t.TempDir()
	for n := 0; n < calls; {
		path := filepath.Join(dir, strconv.Itoa(n)+".jsonl")
		f := newFront(t, path)
		for ; len(f.want) < 10_000 && n < calls; n++ {
			o := f.cat.All()[n%len(f.cat.All())]
			if args := h.arguments(o); h.IntN(2) == 0 && o.Path != "" {
				f.rest(o, args, fmt.Sprint("r", n))
			} else {
				f.rpc(o, args, fmt.Sprint("r", n))
			}
		}
		f.hold(t, path)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		_ = os.Remove(path) // the next one has another name
	}
}

// hold compares the lines with what was done. Of refusals only the first ones of a
// window have a line of their own.
func (f *front) hold(t *testing.T, path string) {
	t.Helper()
	if err := f.log.Close(); err != nil {
		t.Fatal(err)
	}
	bound, refused, counted := map[want]int{}, 0, 0
	for _, w := range f.want {
		if w.kind == "refusal" {
			refused++
			continue
		}
		bound[w]++
	}
	if len(bound) == 0 {
		t.Error("no call was accepted")
	}
	for _, m := range chained(t, path) {
		text := func(k string) string { s, _ := m[k].(string); return s }
		switch m["type"] {
		case "refusals":
			counted += int(m["count"].(float64))
			continue
		case "refusal":
			counted++
			continue
		}
		w := want{text("type"), text("request_id"), text("op"), text("path"), text("code"), text("subject")}
		if bound[w]--; bound[w] < 0 {
			t.Errorf("nobody did this: %q", w)
		}
	}
	for w, n := range bound {
		if n != 0 {
			t.Errorf("%q has %d lines too few", w, n)
		}
	}
	t.Logf("%d calls were refused, %d bound", refused, len(bound)/2)
	if refused != counted {
		t.Errorf("%d refusals are on record, want %d", counted, refused)
	}
}
