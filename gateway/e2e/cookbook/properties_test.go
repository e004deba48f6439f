package cookbook_test

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/ops"
	"portcullis/gateway/vault/vaulttest"
)

// rounds is how many random policies one gateway is given; package policy tries the same
// properties on many more, without a gateway around them.
var rounds = flag.Int("rounds", 4, "random policies that the properties are tried on")

// view is what a caller was shown of a secret: nil for nothing, else its fields, which are
// plain or masked.
type view struct {
	fields  map[string]string
	wrapped bool
}

// more says in what a shows more than b, empty when in nothing.
func (a *view) more(b *view) string {
	switch {
	case a == nil:
		return ""
	case b == nil:
		return "it is shown"
	case b.wrapped && !a.wrapped:
		return "it is not wrapped"
	}
	for name, how := range a.fields {
		if b.fields[name] == "" || how == "plain" && b.fields[name] != "plain" {
			return "the field " + name + " is " + how
		}
	}
	return ""
}

// estate is one gateway whose policy changes, with its callers.
type estate struct {
	*client
	*rand.Rand
	dir   string // POLICY_DIR, a link to the newest policy
	round int
}

// sentinel is the secret that everybody may read, whose change ends a stream's turn.
const sentinel = "sentinel/s"

// places are the secrets that there are.
func places() []string {
	return []string{"mcp/ann/a", "mcp/bob/a", "shared/a", "shared/b/c", sentinel}
}

// TestPropertiesEndToEnd: over REST, as MCP tool, as MCP resource and on event streams the
// same is shown; a wish and one rule more never show more; what is decided again is what was
// decided; what is listed can be called.
func TestPropertiesEndToEnd(t *testing.T) {
	e, tried := newEstate(t), map[string]int{}
	for range *rounds {
		data := e.data()
		before := e.given(t, data, nil)
		after := e.given(t, data, e.rules())
		for key, v := range after {
			tried[v.kind()]++
			if why := v.more(before[key]); why != "" {
				t.Errorf("%s: with more rules %s\n%s", key, why, e.policy(t))
			}
		}
	}
	if tried["denied"] == 0 || tried["plain"] == 0 || tried["masked"]+tried["wrapped"] == 0 {
		t.Errorf("the properties were hardly tried: %v", tried)
	}
}

// kind sums a view up.
func (a *view) kind() string {
	switch {
	case a == nil:
		return "denied"
	case a.wrapped:
		return "wrapped"
	case slices.Contains(slices.Collect(maps.Values(a.fields)), "masked"):
		return "masked"
	}
	return "plain"
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	k := newKitchen(t, vaulttest.Start(t))
	for _, path := range places() {
		k.vault.Write("secret/data/"+path, map[string]any{"data": map[string]any{"user": "u", "password": "obviously-fake"}})
	}
	cat, err := ops.New(ops.Mounts{KV: "secret", Transit: "transit", Database: "database", SSH: "ssh"})
	if err != nil {
		t.Fatal(err)
	}
	s := &script{env: []string{"RATE_LIMIT_ENABLED=false"}, callers: map[string]map[string]string{}}
	for _, name := range []string{"ann", "bob", "writer"} {
		s.callers[name] = map[string]string{"sub": name, "key": "obviously-fake-key-of-" + name}
	}
	e := &estate{Rand: rand.New(rand.NewPCG(5, 6)), dir: filepath.Join(t.TempDir(), "policy")}
	e.put(t, e.data(), nil)
	e.client = &client{kitchen: k, url: k.serve(t, e.dir, s), ops: cat, callers: s.callers}
	return e
}

func (e *estate) one(of ...string) string { return of[e.IntN(len(of))] }

// data are random grants of ann and bob, whose duties differ.
func (e *estate) data() map[string]any {
	subjects := map[string]any{"writer": map[string]any{"kv": map[string]any{"mcp": map[string]any{}, "shared": map[string]any{}, "sentinel": map[string]any{}}}}
	for _, name := range []string{"ann", "bob"} {
		kv := map[string]any{"sentinel": map[string]any{}}
		for range e.IntN(3) {
			grant := map[string]any{}
			switch e.IntN(4) {
			case 0:
				grant["deliver"] = e.one("masked", "wrapped")
			case 1:
				grant["fields"] = []string{"user"}
			case 2:
				grant["ops"] = []string{e.one("kv.read", "kv.list")}
			}
			kv[e.one("shared", "shared/b", "mcp/bob", "shared/+", "{principal}")] = grant
		}
		subjects[name] = map[string]any{"kv": kv}
	}
	return map[string]any{"version": 2, "grants": map[string]any{"subjects": subjects}}
}

// rules are files with a random rule or two, and their tests.
func (e *estate) rules() map[string]string {
	files := map[string]string{}
	for i := range 1 + e.IntN(2) {
		who, place := e.one("ann", "bob"), e.one("mcp/ann", "mcp/bob", "shared", "shared/b")
		kind, entry, member := "deny", `"code": "frozen", "msg": "frozen", "audience": "agent"`, "deny"
		if e.IntN(3) > 0 {
			kind, member = "obligations", "obligation"
			entry = e.one(`"deliver": "masked"`, `"deliver": "wrapped", "wrap_ttl_s": 60`, `"fields": ["user"]`)
		}
		name := fmt.Sprintf("p%d", i)
		condition, input := fmt.Sprintf("%q in input.resource.ancestors", place), fmt.Sprintf(`"resource": {"ancestors": [%q]}`, place)
		if e.IntN(2) == 0 { // the path as an argument says the same, however the secret was named
			condition, input = "input.action.op == \"kv.read\"\n\tinput.args.values.path == \"a\"", `"action": {"op": "kv.read"}, "args": {"values": {"path": "a"}}`
		}
		files[name+".rego"] = fmt.Sprintf("package policy.%s.%s\n\nimport rego.v2\n\n# METADATA\n# title: a rule\n# custom:\n#   id: %[2]s.r\n"+
			"%[3]s contains {%[4]s, \"rule\": \"%[2]s.r\"} if {\n\tinput.principal.id == %[5]q\n\t%[6]s\n}\n", kind, name, member, entry, who, condition)
		files[name+"_test.rego"] = fmt.Sprintf("package policy.%s.%s_test\n\nimport rego.v2\n\ntest_r if count(data.policy.%[1]s.%[2]s.%[3]s) == 1"+
			" with input as {\"principal\": {\"id\": %[4]q}, %[5]s}\n", kind, name, member, who, input)
	}
	return files
}

// put makes the link name a new policy, all of it at once.
func (e *estate) put(t *testing.T, data map[string]any, rules map[string]string) {
	t.Helper()
	e.round++
	dir := fmt.Sprintf("%s.%d", e.dir, e.round)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "data.json"), encode(t, data))
	for name, text := range rules {
		write(t, filepath.Join(dir, name), []byte(text))
	}
	if err := os.Symlink(dir, dir+".link"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+".link", e.dir); err != nil {
		t.Fatal(err)
	}
}

func (e *estate) policy(t *testing.T) (text string) {
	t.Helper()
	files, err := filepath.Glob(e.dir + "/*")
	for _, f := range files {
		raw, rerr := os.ReadFile(f)
		if err = rerr; err != nil {
			break
		}
		text += string(raw) + "\n"
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// given is what ann and bob are shown under a policy, by caller and secret.
func (e *estate) given(t *testing.T, data map[string]any, rules map[string]string) map[string]*view {
	t.Helper()
	reloaded := func(result string) uint64 {
		return metrics.GetOrCreateCounter(`portcullis_policy_reloads_total{result="` + result + `"}`).Get()
	}
	ok, refused := reloaded("ok"), reloaded("refused")
	e.put(t, data, rules)
	look, end := time.NewTicker(50*time.Millisecond), time.Now().Add(3*time.Minute)
	defer look.Stop()
	for reloaded("ok") == ok {
		if reloaded("refused") != refused || time.Now().After(end) {
			t.Fatalf("the policy is not taken:\n%s", e.policy(t))
		}
		<-look.C
	}
	out := map[string]*view{}
	for _, who := range []string{"ann", "bob"} {
		shown := map[string]bool{}
		for _, path := range places() {
			v := e.everyWay(t, who, path)
			out[who+" "+path] = v
			shown[path] = v != nil
		}
		if any := slices.Contains(slices.Collect(maps.Values(shown)), true); any != slices.Contains(e.tools(t, step{who: who}), "kv.read") {
			t.Errorf("%s: some read passes: %v, and kv.read is listed: %v\n%s", who, any, !any, e.policy(t))
		}
		e.streamed(t, who, shown)
	}
	return out
}

// everyWay reads a secret in every way, which must show the same, and no wish more.
func (e *estate) everyWay(t *testing.T, who, path string) *view {
	t.Helper()
	st := step{who: who, op: "kv.read", args: fmt.Sprintf(`{"path":"kv://secret/%s"}`, path)}
	first := e.seen(t, e.rest(t, st))
	ways := map[string]*view{
		"again": e.seen(t, e.rest(t, st)), "as a tool": e.seen(t, e.tool(t, st)), "as a resource": e.seen(t, e.resource(t, who, path)),
	}
	if own, ok := strings.CutPrefix(path, "mcp/"+who+"/"); ok {
		short := step{who: who, op: "kv.read", args: fmt.Sprintf(`{"path":%q}`, own)}
		ways["by its short name"], ways["as a tool, by its short name"] = e.seen(t, e.rest(t, short)), e.seen(t, e.tool(t, short))
	}
	for name, v := range ways {
		if a, b := v.more(first), first.more(v); a+b != "" {
			t.Errorf("%s reads %s %s: there %s, first %s\n%s", who, path, name, a, b, e.policy(t))
		}
	}
	for _, said := range []map[string]string{{"deliver": "plain"}, {"deliver": "masked"}, {"wrap": "60s"}} {
		st.said = said
		for name, call := range map[string]func(*testing.T, step) answer{"over REST": e.rest, "as a tool": e.tool} {
			if why := e.seen(t, call(t, st)).more(first); why != "" {
				t.Errorf("%s reads %s %s and wishes %v: %s\n%s", who, path, name, said, why, e.policy(t))
			}
		}
	}
	return first
}

// resource reads a secret as an MCP resource.
func (e *estate) resource(t *testing.T, who, path string) answer {
	t.Helper()
	params := map[string]any{"uri": "kv://secret/" + path}
	_, raw := e.send(t, step{who: who}, http.MethodPost, "/mcp/rpc", encode(t, map[string]any{"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": params}))
	var reply struct {
		Result struct{ Contents []struct{ Text string } }
	}
	decode(t, raw, &reply)
	if len(reply.Result.Contents) != 1 {
		return answer{code: hidden}
	}
	a := answer{code: "ok"}
	decode(t, []byte(reply.Result.Contents[0].Text), &a.body)
	return a
}

// seen is what an answer shows; what is wrapped is unwrapped.
func (e *estate) seen(t *testing.T, a answer) *view {
	t.Helper()
	if a.code != "ok" {
		return nil
	}
	v := &view{fields: map[string]string{}}
	if token := a.token(); token != "" {
		var inner struct{ Data map[string]any }
		if status := e.vault.Do(vaulttest.Request{Method: "PUT", Path: "sys/wrapping/unwrap", Token: token}, &inner); status != http.StatusOK {
			t.Fatalf("unwrap: %d", status)
		}
		a.body, v.wrapped = inner.Data, true
	}
	data, ok := a.body["data"].(map[string]any)
	if !ok {
		t.Fatalf("no data in %v", a.body)
	}
	for name, value := range data {
		v.fields[name] = "masked"
		if value == "u" || value == "obviously-fake" {
			v.fields[name] = "plain"
		}
	}
	return v
}

// streamed: a caller hears of the changes of what it may read, and of no others.
func (e *estate) streamed(t *testing.T, who string, shown map[string]bool) {
	t.Helper()
	for _, path := range places() {
		query := url.Values{"type": {"resource.changed"}, "path": {path, sentinel}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+"/events?"+query.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := e.as(t, step{who: who}, req).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		heard := resp.StatusCode == http.StatusOK && e.hears(t, resp.Body, path)
		_ = resp.Body.Close()
		if heard != shown[path] {
			t.Errorf("%s hears of %s: %v (%d), and reads it: %v\n%s", who, path, heard, resp.StatusCode, shown[path], e.policy(t))
		}
	}
}

// hears reports whether a stream reports a change, before it reports a later one.
func (e *estate) hears(t *testing.T, stream io.Reader, path string) bool {
	t.Helper()
	for _, changed := range []string{path, sentinel} {
		st := step{who: "writer", op: "kv.write", args: fmt.Sprintf(`{"path":"kv://secret/%s","data":{"user":"u","password":"obviously-fake"}}`, changed)}
		if a := e.rest(t, st); a.code != "ok" {
			t.Fatalf("write %s: %+v", changed, a)
		}
	}
	for lines := bufio.NewScanner(stream); lines.Scan(); {
		switch text, data := strings.CutPrefix(lines.Text(), "data:"); {
		case data && strings.Contains(text, path):
			return true
		case data && strings.Contains(text, sentinel):
			return false
		}
	}
	t.Fatal("the stream ended before it told of " + sentinel)
	return false
}
