package policy_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/gateway/budget"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy"
)

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const readsValues = `package policy.deny.x

import rego.v2

# METADATA
# custom:
#   id: x.many
deny contains {"code": "x.many", "msg": "too many", "rule": "x.many"} if {
	input.action.op == "kv.destroy"
	count(input.args.values.versions) > 3
}
`

const readsValuesTest = `package policy.deny.x_test

import rego.v2

test_many if {
	count(data.policy.deny.x.deny) == 1 with input as {
		"action": {"op": "kv.destroy"},
		"args": {"values": {"versions": [1, 2, 3, 4]}},
	}
}
`

func TestTheLogMasksAndExplains(t *testing.T) {
	dir := team(t, map[string]string{
		"data.yaml": "masks: [context.source_ip, input.principal.id]\n", "x.rego": readsValues, "x_test.rego": readsValuesTest,
	})
	log := filepath.Join(t.TempDir(), "decisions.jsonl")
	e := open(t, policy.Config{Dir: dir, LogFile: log, LogKey: []byte("k")})
	if !e.Status().Cacheable {
		t.Error("decisions that depend on values are not kept")
	}
	d := e.Decide(t.Context(), bind(t, agent(t), "kv.destroy", `{"path":"a","versions":[7777,2]}`))
	if !d.Allow {
		t.Fatalf("got %+v", d)
	}
	if d := e.Decide(t.Context(), bind(t, agent(t), "kv.destroy", `{"path":"a","versions":[1,2,3,4]}`)); d.Allow || d.Reasons[0].Code != "x.many" {
		t.Errorf("got %+v", d)
	}
	if d := e.Decide(t.Context(), bind(t, agent(t), "kv.write", `{"path":"a","data":{"k":"canary-secret"}}`)); !d.Allow {
		t.Errorf("got %+v", d)
	}
	e.Flush()
	text := read(t, log)
	for _, hidden := range []string{"7777", "canary-secret", `"id":"agent_api"`} {
		if strings.Contains(text, hidden) {
			t.Errorf("%s is in the log:\n%s", hidden, text)
		}
	}
	line, _, _ := bytes.Cut([]byte(text), []byte("\n"))
	var r policy.Record
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatal(err)
	}
	if r.ID != d.ID || r.Revision != d.Revision || !r.Allow || r.Tier != "standard" {
		t.Errorf("got %+v", r)
	}
	if !slices.Contains(r.Erased, "args.values.versions") || !slices.Contains(r.Erased, "principal.id") {
		t.Errorf("erased: %v", r.Erased)
	}
}

func TestAFullLogDropsAndNeverWaits(t *testing.T) {
	e := open(t, policy.Config{LogFile: filepath.Join(t.TempDir(), "d.jsonl")})
	b := bind(t, agent(t), "kv.read", `{"path":"a"}`)
	for range 20_000 {
		if d := e.Decide(t.Context(), b); !d.Allow {
			t.Fatalf("got %+v", d)
		}
	}
}

// TestOneCallersDecisionsLeaveRoom: who asks more often than its share of logs allows
// fills neither the queue of the log nor the log of dry runs; others are written.
func TestOneCallersDecisionsLeaveRoom(t *testing.T) {
	var table budget.Table
	table[budget.Logs] = budget.Limit{Caller: 8 << 10}
	files := refuses("{}", `input.action.effect == "read"`, `{"action": {"engine": "kv", "effect": "read"}}`)
	files["t.rego"] = strings.ReplaceAll(files["t.rego"], `"rule": "t.r"}`, `"rule": "t.r", "mode": "dry_run"}`)
	var said bytes.Buffer
	log := filepath.Join(t.TempDir(), "d.jsonl")
	e := open(t, policy.Config{Dir: team(t, files), CacheSize: -1, LogFile: log, Budgets: budget.New(table), Logger: slog.New(slog.NewTextHandler(&said, nil))})
	synctest.Test(t, func(t *testing.T) { // in no time
		loud, quiet := agent(t), agent(t)
		quiet.Subject = "quiet"
		for _, who := range []*call.Caller{loud, quiet} {
			for range map[*call.Caller]int{loud: 200, quiet: 2}[who] {
				e.Decide(t.Context(), bind(t, who, "kv.read", `{"path":"a"}`))
			}
		}
	})
	e.Flush()
	text := read(t, log)
	if n := strings.Count(text, `"caller":"/agent_api"`); n == 0 || n > 20 {
		t.Errorf("%d decisions of the loud caller are in the log", n)
	}
	if n := strings.Count(text, `"caller":"/quiet"`); n != 2 {
		t.Errorf("%d decisions of the quiet caller are in the log, want 2", n)
	}
	if n := strings.Count(said.String(), "would have spoken"); n == 0 || n > 20 {
		t.Errorf("the dry run has said so %d times", n)
	}
}

func TestDeliveriesDoNotPushOutWhatCallersCanAskAbout(t *testing.T) {
	e := open(t, policy.Config{Keep: 8})
	who := agent(t)
	asked := e.Decide(t.Context(), bind(t, who, "kv.read", `{"path":"app"}`))
	heard := bind(t, who, "kv.read", `{"path":"app"}`)
	heard.Request.Phase = op.PhaseStream
	for range 20 {
		if d := e.Decide(t.Context(), heard); !d.Allow {
			t.Fatalf("denied: %+v", d)
		}
	}
	if _, err := e.Explain(t.Context(), who, asked.ID); err != nil {
		t.Errorf("a call after 20 deliveries: %v", err)
	}
}

func TestALogThatCannotBeOpened(t *testing.T) {
	if _, err := policy.Open(policy.Config{Catalogue: catalogue(t), LogFile: t.TempDir()}); err == nil {
		t.Error("opens")
	}
}

// The arguments' values are compared as well when the candidate alone reads them.
func TestShadowReadsWhatTheActivePolicyDoesNot(t *testing.T) {
	candidate := team(t, map[string]string{
		"x.rego": `package policy.deny.x

import rego.v2

# METADATA
# custom:
#   id: x.old
deny contains {"code": "x.old", "msg": "old", "rule": "x.old"} if {
	input.action.op == "kv.read"
	input.args.values.version < 3
}
`,
		"x_test.rego": `package policy.deny.x_test

import rego.v2

test_old if count(data.policy.deny.x.deny) == 1 with input as {"action": {"op": "kv.read"}, "args": {"values": {"version": 2}}}
`,
	})
	log := filepath.Join(t.TempDir(), "d.jsonl")
	cat := catalogue(t)
	synctest.Test(t, func(t *testing.T) {
		e, err := policy.Open(policy.Config{Shadow: candidate, Catalogue: cat, LogFile: log, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		go e.RunShadow(t.Context())
		for _, args := range []string{`{"path":"a","version":2}`, `{"path":"a","version":3}`} {
			e.Decide(t.Context(), bind(t, agent(t), "kv.read", args))
		}
		synctest.Wait()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if n := strings.Count(read(t, log), `"diff":"would_deny"`); n != 1 {
		t.Errorf("%d calls would be denied, want 1\n%s", n, read(t, log))
	}
}

// The candidate grants another role, and another time for a third: it differs in
// three of four calls, and changes none of them.
func TestShadow(t *testing.T) {
	active := team(t, map[string]string{"data.yaml": `{grants: {subjects: {agent_api: {db: {readonly: {}, both: {max_ttl_s: 60}}}}}}`})
	candidate := team(t, map[string]string{"data.yaml": `{grants: {subjects: {agent_api: {db: {other: {}, both: {max_ttl_s: 600}}}}}}`})
	cat := catalogue(t)
	log := filepath.Join(t.TempDir(), "d.jsonl")
	synctest.Test(t, func(t *testing.T) {
		e, err := policy.Open(policy.Config{Dir: active, Shadow: candidate, Catalogue: cat, LogFile: log, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		go e.RunShadow(t.Context())
		for args, allow := range map[string]bool{`{"role":"readonly"}`: true, `{"role":"other"}`: false, `{"role":"both"}`: true} {
			if d := e.Decide(t.Context(), bind(t, agent(t), "db.issue_creds", args)); d.Allow != allow {
				t.Errorf("%s: got %+v", args, d)
			}
		}
		e.Decide(t.Context(), bind(t, agent(t), "kv.read", `{"path":"a"}`))
		synctest.Wait()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	var diffs []string
	for line := range strings.Lines(read(t, log)) {
		if !strings.Contains(line, `"shadow"`) {
			continue
		}
		var d policy.ShadowDiff
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		diffs = append(diffs, d.Diff)
	}
	slices.Sort(diffs)
	if !slices.Equal(diffs, []string{"other", "would_allow", "would_deny"}) {
		t.Errorf("got %v", diffs)
	}
}
