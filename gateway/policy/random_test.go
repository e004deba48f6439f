package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/bundle"
)

// random makes policies and calls over few names, so that they often meet.
type random struct {
	*rand.Rand
	deep bool // rules over texts, which lists cannot see through
	wish bool // rules over the delivery that is asked for
}

func (r random) one(of ...string) string { return of[r.IntN(len(of))] }

func (r random) chance(n int) bool { return r.IntN(n) == 0 }

// path is the path of a secret, often one of the caller's own.
func (r random) path() string {
	base := r.one("", "", "mcp/ann/", "mcp/bob/", "mcp/", "shared/")
	var segments []string
	for range 1 + r.IntN(2) {
		segments = append(segments, r.one("a", "b", "a1", "shared", "ann"))
	}
	return base + strings.Join(segments, "/")
}

// pattern is the name of a grant of secrets.
func (r random) pattern() string {
	if r.chance(2) {
		return r.path()
	}
	segments := []string{r.one("a", "shared", "mcp", "{principal}", "+")}
	for range r.IntN(3) {
		segments = append(segments, r.one("a", "b", "+", "{principal}", "{role}", "{tenant}", "{claims.team}", "x-{role}"))
	}
	if r.chance(4) {
		segments = append(segments, "*")
	}
	return strings.Join(segments, "/")
}

// duty is what a grant, an operation or a team asks of a result.
func (r random) duty() map[string]any {
	d := map[string]any{}
	if r.chance(2) {
		d["deliver"] = r.one("plain", "masked", "wrapped")
	}
	if r.chance(4) {
		d["fields"] = []string{r.one("user", "password"), r.one("user", "host")}
	}
	if r.chance(4) {
		d["max_ttl_s"] = 60 * (1 + r.IntN(3))
	}
	if r.chance(4) {
		d["wrap_ttl_s"] = 60 * (1 + r.IntN(3))
	}
	if r.chance(8) {
		d["transforms"] = []map[string]any{{"name": r.one("mask", "pii")}}
	}
	return d
}

func (r random) grant(ops ...string) map[string]any {
	g := map[string]any{}
	if r.chance(3) {
		g = r.duty()
	}
	if r.chance(2) {
		list := []string{}
		for range r.IntN(3) {
			list = append(list, r.one(ops...))
		}
		g["ops"] = list
	}
	if r.chance(6) {
		g["expires_s"] = []int{1_000_000_000, 4_000_000_000}[r.IntN(2)]
	}
	return g
}

func (r random) holder() map[string]any {
	kv, transit, db := map[string]any{}, map[string]any{}, map[string]any{}
	for range r.IntN(3) {
		kv[r.pattern()] = r.grant("kv.read", "kv.list", "kv.write", "kv.delete")
		transit[r.one("k", "k1", "k2", "{principal}", "+")] = r.grant("transit.encrypt", "transit.decrypt")
		db[r.one("ro", "rw", "{role}")] = r.grant("db.issue_creds")
	}
	return map[string]any{"kv": kv, "transit": transit, "db": db}
}

func (r random) table() map[string]any {
	return map[string]any{
		"subjects": map[string]any{"ann": r.holder(), "bob": r.holder()},
		"roles":    map[string]any{"r": r.holder(), "ann": r.holder()},
	}
}

func (r random) data() map[string]any {
	d := map[string]any{"version": 2, "grants": r.table(), "tenants": map[string]any{"t": r.table()}, "obligations": map[string]any{}}
	for range r.IntN(2) {
		d["obligations"].(map[string]any)[r.one("kv.read", "db.issue_creds", "kv.list")] = r.duty()
	}
	teams := map[string]any{}
	for _, team := range []string{"t0", "t1"} {
		if r.chance(4) {
			teams[team] = map[string]any{"owns": map[string]any{"kv": []string{r.path()}, "transit": []string{"k"}}, "global": r.chance(5)}
		}
	}
	d["teams"] = teams
	return d
}

// condition is one of those that rules usually have.
func (r random) condition() string {
	all := []string{
		fmt.Sprintf("%q in input.resource.ancestors", r.path()),
		fmt.Sprintf("%q in input.resource.ancestors", r.path()),
		fmt.Sprintf("not %q in input.resource.ancestors", r.path()),
		fmt.Sprintf("input.resource.path == %q", r.path()),
		fmt.Sprintf("input.resource.path != %q", r.path()),
		fmt.Sprintf("input.resource.relative == %q", r.one("a", "b", "shared/a")),
		fmt.Sprintf("some above%[1]d in input.resource.ancestors\n\tabove%[1]d in {%[2]q, %[3]q}", r.IntN(1_000_000), r.path(), r.path()),
		fmt.Sprintf("not input.resource.path in {%q, %q}", r.path(), r.path()),
		fmt.Sprintf("input.action.op == %q", r.one(operations()...)),
		fmt.Sprintf("input.action.effect == %q", r.one("read", "list", "write", "delete", "issue")),
		fmt.Sprintf("input.principal.kind == %q", r.one("agent", "human")),
		fmt.Sprintf("not %q in input.principal.roles", r.one("r", "ann")),
		fmt.Sprintf("input.principal.claims.team == %q", r.one("a", "b")),
		fmt.Sprintf("input.request.transport %s %q", r.one("==", "!="), r.one("rest", "mcp")),
		fmt.Sprintf("input.context.client.name %s \"good\"", r.one("==", "!=")),
		"\"version\" in input.args.keys",
		fmt.Sprintf("%q in input.args.keys", r.one("path", "key", "role")),
		fmt.Sprintf("not %q in input.args.keys", r.one("path", "key", "role")),
		fmt.Sprintf("some given%[1]d in input.args.keys\n\tgiven%[1]d == %[2]q", r.IntN(1_000_000), r.one("path", "key", "role")),
		"input.args.values.version == 7",
		"input.action.destructive",
		"not input.action.destructive",
		fmt.Sprintf("input.context.time.hour_utc < %d", r.IntN(24)),
		"input.request.reason == \"\"",
	}
	if r.wish {
		all = append(all, `input.request.deliver != "wrapped"`)
	}
	if r.deep {
		all = append(all, fmt.Sprintf("startswith(input.resource.path, %q)", r.path()+"/"), "count(input.resource.segments) > 2", fmt.Sprintf("input.resource.segments[0] == %q", r.one("mcp", "shared", "a")), "input.args.bytes > 40")
	}
	return all[r.IntN(len(all))]
}

// rule is a rule of a team, with an entry that may be in dry run.
func (r random) rule(n int) bundle.File {
	team, conditions := fmt.Sprintf("t%d", n%2), []string{r.condition()}
	if r.chance(2) {
		conditions = append(conditions, r.condition())
	}
	body := strings.Join(conditions, "\n\t")
	id, mode := fmt.Sprintf("r%d", n), ""
	if r.chance(6) {
		mode = `, "mode": "dry_run"`
	}
	text := fmt.Sprintf("deny contains {\"code\": \"c\", \"msg\": \"m\", \"rule\": %q%s} if {\n\t%s\n}\n", id, mode, body)
	kind := "deny"
	if r.chance(4) {
		raw, _ := json.Marshal(r.duty())
		entry := strings.TrimSuffix(string(raw), "}")
		if entry != "{" {
			entry += ", "
		}
		kind, text = "obligations", fmt.Sprintf("obligation contains %s\"rule\": %q%s} if {\n\t%s\n}\n", entry, id, mode, body)
	}
	return bundle.File{Name: fmt.Sprintf("%s.rego", id), Text: []byte(fmt.Sprintf("package policy.%s.%s\n\nimport rego.v2\n\n%s", kind, team, text))}
}

// policy is a whole one, with up to n rules.
func (r random) policy(n int) *bundle.Bundle {
	b := &bundle.Bundle{Place: "dir", Data: r.data()}
	for i := range r.IntN(n + 1) {
		b.Rules = append(b.Rules, r.rule(i))
	}
	return through(b)
}

// through passes the data through JSON, as those of files are.
func through(b *bundle.Bundle) *bundle.Bundle {
	raw, _ := json.Marshal(b.Data)
	b.Data = nil
	_ = json.Unmarshal(raw, &b.Data)
	return b
}

func operations() []string {
	return []string{
		"kv.read", "kv.list", "kv.write", "kv.delete", "kv.destroy", "kv.metadata", "transit.encrypt", "transit.decrypt", "transit.random",
		"db.issue_creds", "self.whoami",
	}
}

func (r random) caller(t testing.TB) *call.Caller {
	t.Helper()
	c := &call.Caller{
		Subject: r.one("ann", "bob", "eve"), Tenant: r.one("", "", "t"), Kind: r.one("agent", "human"), Method: call.JWT,
		Scopes: []string{"read", "list", "write", "delete"}, SourceIP: netip.MustParseAddr("192.0.2.1"),
	}
	c.Prefix = path(t, "mcp/"+c.Subject)
	if r.chance(2) {
		c.Roles = []string{r.one("r", "ann", "x"), r.one("r", "x")}
	}
	if r.chance(2) {
		c.Claims = map[string]any{"team": r.one("a", "b")}
	}
	return c
}

// request is a call on a named thing, with what else a call may say.
func (r random) request(c *call.Caller, operation, name string) *op.Request {
	q := &op.Request{
		ID: "r", Op: operation, Caller: c, Time: at().Add(time.Duration(r.IntN(24)) * time.Hour), Transport: op.Transport(r.one("rest", "mcp", "stdio")),
		Client: op.Client{Name: r.one("good", "bad", "")}, Reason: r.one("", "INC-1"),
	}
	q.Args = arguments(operation, name, r.chance(4), r.chance(4))
	return q
}

// arguments are those of a call, as short as they can be, or with a version or what
// removes for good.
func arguments(operation, name string, version, all bool) []byte {
	args := map[string]any{}
	engine, verb, _ := strings.Cut(operation, ".")
	switch {
	case operation == "kv.list":
		if args["prefix"] = "kv://secret/" + name; name == "" {
			args["prefix"] = "kv://secret/"
		}
	case engine == "kv":
		args["path"] = "kv://secret/" + name
	case operation == "transit.encrypt":
		args["key"], args["plaintext"] = name, "aGk="
	case operation == "transit.decrypt":
		args["key"], args["ciphertext"] = name, "vault:v1:x"
	case operation == "db.issue_creds":
		args["role"] = name
	}
	switch {
	case verb == "write":
		args["data"] = map[string]any{"user": "u"}
	case verb == "destroy":
		args["versions"] = []int{1}
	case operation == "kv.read" && version:
		args["version"] = 7
	case operation == "kv.delete" && all:
		args["all"] = true
	}
	raw, _ := json.Marshal(args)
	return raw
}

// name is what a call of an operation may act on.
func (r random) name(operation string) string {
	switch engine, _, _ := strings.Cut(operation, "."); engine {
	case "kv":
		return r.path()
	case "transit":
		return r.one("k", "k1", "k2", "ann")
	}
	return r.one("ro", "rw", "r", "ann")
}
