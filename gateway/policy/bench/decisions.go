package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy"
	"portcullis/gateway/policy/bundle"
	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// Naive and NaiveOwn are the names of the baselines: the same policy, prepared,
// asked with a map and answered with one, about a granted key and about a secret
// of one's own.
const (
	Naive    = "naive EvalInput(map), 1000 grants"
	NaiveOwn = "naive EvalInput(map), own secret"
)

// Decisions are the cases of the default policy: uncached with more and more
// grants, cached, naive, and the same rules written in Go. Directories for the
// data are made below dir.
func Decisions(dir string, cat *op.Catalogue) ([]Case, error) {
	var out []Case
	for _, n := range []int{10, 100, 1000, 10_000} {
		c, err := engineCase(dir, policy.Config{Catalogue: cat, CacheSize: -1}, n)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	cached, err := engineCase(dir, policy.Config{Catalogue: cat}, 1000)
	if err != nil {
		return nil, err
	}
	own, err := ownCase(cat)
	if err != nil {
		return nil, err
	}
	alone, err := evaluationCase(cat)
	if err != nil {
		return nil, err
	}
	out = append(out, own, cached, alone)
	for name, b := range map[string]func(*op.Catalogue) (*op.Bound, error){
		Naive: func(cat *op.Catalogue) (*op.Bound, error) { return keyOf(cat, 1000) }, NaiveOwn: ownSecret,
	} {
		c, err := naiveCase(name, cat, b)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b Case) int { return -strings.Compare(a.Name, b.Name) })
	return append(out, floorCase(cat)), nil
}

// write writes data with n callers, of which the last has n keys.
func write(dir string, n int) (string, error) {
	raw, err := json.Marshal(data(n))
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, fmt.Sprint(n))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "data.json"), raw, 0o600)
}

func data(n int) map[string]any {
	subjects, keys := map[string]any{}, map[string]any{}
	for i := range n {
		keys[fmt.Sprintf("key-%06d", i)] = map[string]any{}
		subjects[fmt.Sprintf("agent-%06d", i)] = map[string]any{"transit": map[string]any{"mcp": map[string]any{}}}
	}
	subjects["agent"] = map[string]any{"transit": keys}
	return map[string]any{"grants": map[string]any{"subjects": subjects}}
}

func caller() *call.Caller {
	prefix, _ := call.ParsePath("mcp/agent") // clean
	return &call.Caller{
		Subject: "agent", Kind: "agent", Prefix: prefix, Method: call.APIKey,
		Scopes: []string{"read", "write", "delete", "list"},
	}
}

func bind(cat *op.Catalogue, name, args string) (*op.Bound, error) {
	return cat.Bind(&op.Request{
		ID: "r", Op: name, Args: []byte(args), Caller: caller(), Transport: op.REST, Time: time.Unix(1_700_000_000, 0),
	})
}

// engineCase is a call of the last of n granted keys.
func engineCase(dir string, c policy.Config, n int) (Case, error) {
	dir, err := write(dir, n)
	if err != nil {
		return Case{}, err
	}
	c.Dir, c.Timeout = dir, time.Minute
	e, err := policy.Open(c)
	if err != nil {
		return Case{}, err
	}
	name := "cached"
	if c.CacheSize < 0 {
		name = fmt.Sprintf("uncached, %d grants", n)
	}
	b, err := keyOf(c.Catalogue, n)
	return Case{name, Naive, decide(e, b)}, err
}

// keyOf is a call with the last of n granted keys.
func keyOf(cat *op.Catalogue, n int) (*op.Bound, error) {
	return bind(cat, "transit.hmac", fmt.Sprintf(`{"key":"key-%06d","input":"aGk="}`, n-1))
}

func ownSecret(cat *op.Catalogue) (*op.Bound, error) { return bind(cat, "kv.read", `{"path":"app"}`) }

func decide(e *policy.Engine, b *op.Bound) func(context.Context) error {
	return func(ctx context.Context) error {
		if d := e.Decide(ctx, b); !d.Allow {
			return fmt.Errorf("denied: %v", d.Reasons)
		}
		return nil
	}
}

// ownCase is a read below the caller's own prefix, with the embedded policy alone.
func ownCase(cat *op.Catalogue) (Case, error) {
	e, err := policy.Open(policy.Config{Catalogue: cat, CacheSize: -1, Timeout: time.Minute})
	if err != nil {
		return Case{}, err
	}
	b, err := ownSecret(cat)
	return Case{"uncached, own secret", NaiveOwn, decide(e, b)}, err
}

// evaluationCase is the evaluation by itself, from the facts of a call to a typed
// answer: what the naive cases are to be held against.
func evaluationCase(cat *op.Catalogue) (Case, error) {
	core, err := bundle.Core()
	if err != nil {
		return Case{}, err
	}
	p, err := program.Compile(context.Background(), core, nil)
	if err != nil {
		return Case{}, err
	}
	b, err := ownSecret(cat)
	return Case{"evaluation alone, own secret", NaiveOwn, func(ctx context.Context) error {
		facts := document.FactsOf(b)
		in := facts.Input(p.Reads())
		out, err := p.Decide(ctx, &in, time.Minute)
		if err == nil && !out.Allow {
			err = errors.New("denied")
		}
		return err
	}}, err
}

// naiveCase asks the same question in the way that the evaluator's manual begins
// with.
func naiveCase(name string, cat *op.Catalogue, question func(*op.Catalogue) (*op.Bound, error)) (Case, error) {
	ctx := context.Background()
	b, err := question(cat)
	if err != nil {
		return Case{}, err
	}
	facts := document.FactsOf(b)
	in := facts.Input(document.Everything())
	core, err := bundle.Core()
	if err != nil {
		return Case{}, err
	}
	opts := []func(*rego.Rego){
		rego.Query("data.gateway.decision"), rego.Store(inmem.NewFromObject(bundle.Merge(core, &bundle.Bundle{Data: data(1000)}))), rego.StrictBuiltinErrors(true),
	}
	for _, f := range core.Rules {
		opts = append(opts, rego.Module(f.Name, string(f.Text)))
	}
	q, err := rego.New(opts...).PrepareForEval(ctx)
	if err != nil {
		return Case{}, err
	}
	return Case{name, name, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		rs, err := q.Eval(ctx, rego.EvalInput(asMap(in)))
		if err != nil || len(rs) != 1 {
			return fmt.Errorf("no decision: %w", err)
		}
		if d, ok := rs[0].Expressions[0].Value.(map[string]any); !ok || d["allow"] != true {
			return errors.New("denied")
		}
		return nil
	}}, nil
}

// asMap is the input as nested maps, as one who begins would write it.
func asMap(in document.Input) map[string]any {
	return map[string]any{
		"v":       in.V,
		"request": map[string]any{"id": in.Request.ID, "transport": in.Request.Transport, "phase": in.Request.Phase},
		"principal": map[string]any{
			"id": in.Principal.ID, "kind": in.Principal.Kind, "tenant": in.Principal.Tenant, "issuer": in.Principal.Issuer,
			"prefix": in.Principal.Prefix, "tier": in.Principal.Tier, "roles": anys(in.Principal.Roles),
			"scopes": anys(in.Principal.Scopes), "on_behalf_of": nil,
			"auth": map[string]any{"method": in.Principal.Auth.Method, "age_s": in.Principal.Auth.AgeS, "cert_fp": ""},
		},
		"action": map[string]any{
			"op": in.Action.Op, "engine": in.Action.Engine, "effect": in.Action.Effect, "public": in.Action.Public,
		},
		"resource": map[string]any{
			"mount": in.Resource.Mount, "path": in.Resource.Path, "ancestors": anys(in.Resource.Ancestors), "version": 0,
		},
		"args": map[string]any{"keys": anys(in.Args.Keys), "bytes": in.Args.Bytes, "values": map[string]any{}},
		"context": map[string]any{
			"time":      map[string]any{"unix_s": in.Context.Time.UnixS, "weekday": in.Context.Time.Weekday, "hour_utc": in.Context.Time.HourUTC},
			"source_ip": in.Context.SourceIP,
		},
	}
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// floorCase is the default policy written in Go: what no engine can beat.
func floorCase(cat *op.Catalogue) Case {
	b, err := ownSecret(cat)
	return Case{"hand-written Go", NaiveOwn, func(context.Context) error {
		scopes := map[op.Effect]string{op.Read: "read", op.List: "list", op.Write: "write", op.Delete: "delete", op.Issue: "write"}
		switch {
		case err != nil:
			return err
		case !b.Op.Public && !b.Caller.HasScope(scopes[b.Op.Effect]):
			return errors.New("denied")
		case b.Op.Engine == "kv" && (b.Caller.Prefix.IsZero() || !b.Resource.Path.Within(b.Caller.Prefix)):
			return errors.New("denied")
		}
		return nil
	}}
}
