package export_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/audit"
	"portcullis/gateway/audit/export"
	"portcullis/gateway/audit/inspect"
	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// hostile is what a name may be, and formats have special characters.
const hostile = "a|b=c\\d\"e\n\u2028é"

// evidence is a file with records of every kind.
func evidence(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte(`{"seq":1,"prev":"`), 0o600); err != nil { // half a line
		t.Fatal(err)
	}
	l := audit.Open(audit.Config{Path: path})
	r := &op.Record{
		Request: &op.Request{
			ID: "r1", Op: "kv.read", Transport: op.MCP, Client: op.Client{Name: hostile, Version: "1", Session: "s"},
			Trace:  op.Trace{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
			Caller: &call.Caller{Subject: "bot", Tenant: "acme", TokenID: "j", Method: call.JWT, KeyID: "k", OnBehalfOf: &call.Actor{Subject: "agent"}},
		},
		Decision: op.Decision{ID: "d1", Allow: true, Tier: "standard", Revision: "abc", Reasons: []op.Reason{{Code: "x"}}},
		Outcome:  op.Outcome{Version: 3, LeaseID: "suffix", LeaseSum: "sum", Serial: "1f", Decimal: "31", User: "u", Expires: time.Unix(2_000_000_000, 0)},
		Steps:    []op.Step{{Name: "mask@sha256:00", Result: "changed"}}, Start: time.Now(),
	}
	r.Decision.Obligations.Masked, r.Decision.Obligations.Fields = true, []string{"user"}
	upkeep := audit.Upkeep{ID: "upkeep-1", Method: "GET", Path: "auth/token/lookup-self"}
	ended := upkeep
	ended.Code = "vault_error"
	l.Upkeep(upkeep)
	l.Upkeep(ended)
	for _, write := range []func(*op.Record) error{l.Intent, l.Outcome} {
		if err := write(r); err != nil {
			t.Fatal(err)
		}
	}
	r.Err = call.Errorf(call.Forbidden, "denied")
	for range 30 {
		if err := l.Refusal(r); err != nil {
			t.Fatal(err)
		}
	}
	l.Unauthenticated("192.0.2.1", "unauthenticated", "bad_signature")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func events(t *testing.T, f export.Format, want inspect.Filter) []string {
	t.Helper()
	var out bytes.Buffer
	if err := (export.Export{Files: inspect.Files{Names: []string{evidence(t)}}, Want: want, Format: f, Version: "1.2"}).Write(&out); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// attribute is one of the schema.
type attribute struct {
	Type     string `json:"type"`
	Array    bool   `json:"array"`
	Required bool   `json:"required"`
	Enum     []int  `json:"enum"`
}

// schema is what is needed of OCSF's own, compiled from its repository.
type schema struct {
	Class   map[string]attribute `json:"class"`
	Objects map[string]struct {
		Attributes map[string]attribute `json:"attributes"`
		AtLeastOne []string             `json:"at_least_one"`
	} `json:"objects"`
}

func readSchema(t *testing.T) (s schema) {
	t.Helper()
	raw, err := os.ReadFile("testdata/ocsf-1.9.json")
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// check lists what is wrong with an object.
func (s schema) check(at string, of map[string]attribute, o map[string]any) (wrong []string) {
	for name, a := range of {
		if _, there := o[name]; a.Required && !there {
			wrong = append(wrong, at+"."+name+" is missing")
		}
	}
	for name, v := range o {
		a, known := of[name]
		list := []any{v}
		if many, is := v.([]any); is == a.Array && is {
			list = many
		} else if is != a.Array {
			wrong = append(wrong, at+"."+name+" is a list, or is none")
		}
		if !known {
			wrong = append(wrong, at+"."+name+" is unknown")
		}
		for _, v := range list {
			wrong = append(wrong, s.value(at+"."+name, a, v)...)
		}
	}
	return wrong
}

func (s schema) value(at string, a attribute, v any) []string {
	if of, is := strings.CutPrefix(a.Type, "object:"); is {
		o, good := v.(map[string]any)
		known, there := s.Objects[of]
		switch {
		case !good:
			return []string{at + " is no object"}
		case of == "object":
			return nil
		case !there:
			return []string{at + ": the schema in testdata lacks " + of}
		case known.AtLeastOne != nil && !slices.ContainsFunc(known.AtLeastOne, func(n string) bool { return o[n] != nil }):
			return []string{fmt.Sprintf("%s has none of %v", at, known.AtLeastOne)}
		}
		return s.check(at, known.Attributes, o)
	}
	n, number := v.(float64)
	_, text := v.(string)
	switch {
	case strings.HasPrefix(a.Type, "integer") || strings.HasPrefix(a.Type, "long"):
		if !number || n != math.Trunc(n) || a.Enum != nil && !slices.Contains(a.Enum, int(n)) {
			return []string{fmt.Sprintf("%s: %v is no number that may be there", at, v)}
		}
	case a.Type == "string_t" && !text:
		return []string{fmt.Sprintf("%s: %v is no text", at, v)}
	}
	return nil
}

// TestOCSFIsWhatTheSchemaSays validates an event of every type of record.
func TestOCSFIsWhatTheSchemaSays(t *testing.T) {
	s := readSchema(t)
	seen := map[string]bool{}
	for _, line := range events(t, export.OCSF, inspect.Filter{}) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		if wrong := s.check("event", s.Class, o); len(wrong) > 0 {
			t.Errorf("%v in %s", wrong, line)
		}
		if o["type_uid"] != 600300+o["activity_id"].(float64) {
			t.Errorf("type_uid %v, activity_id %v", o["type_uid"], o["activity_id"])
		}
		m, _ := o["metadata"].(map[string]any)
		seen[fmt.Sprint(m["event_code"])] = true
	}
	for _, kind := range []string{"torn", "upkeep", "intent", "outcome", "refusal", "refusals"} {
		if !seen[kind] {
			t.Errorf("no event of type %s", kind)
		}
	}
}

// TestTheValidatorFinds: a wrong event is not passed.
func TestTheValidatorFinds(t *testing.T) {
	s := readSchema(t)
	for name, spoil := range map[string]func(map[string]any){
		"missing":     func(o map[string]any) { delete(o, "metadata") },
		"unknown":     func(o map[string]any) { o["colour"] = "red" },
		"enum":        func(o map[string]any) { o["activity_id"] = 17.0 },
		"type":        func(o map[string]any) { o["message"] = 1.0 },
		"nested":      func(o map[string]any) { o["api"] = map[string]any{} },
		"at least":    func(o map[string]any) { o["actor"] = map[string]any{} },
		"list":        func(o map[string]any) { o["resources"] = map[string]any{} },
		"no list":     func(o map[string]any) { o["api"] = []any{} },
		"no fraction": func(o map[string]any) { o["time"] = 1.5 },
	} {
		var o map[string]any
		if err := json.Unmarshal([]byte(events(t, export.OCSF, inspect.Filter{Type: "outcome"})[0]), &o); err != nil {
			t.Fatal(err)
		}
		spoil(o)
		if len(s.check("event", s.Class, o)) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}

// TestTheChainIsInTheEvent: an event's attestation names its line and the one before.
func TestTheChainIsInTheEvent(t *testing.T) {
	before := ""
	for i, line := range events(t, export.OCSF, inspect.Filter{}) {
		var o struct {
			Attestations []struct {
				Fingerprint struct{ Value string }
				Prev        struct{ Fingerprint struct{ Value string } } `json:"prev_event"`
			} `json:"attestation_list"`
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil || len(o.Attestations) != 1 {
			t.Fatalf("%v in %s", err, line)
		}
		if a := o.Attestations[0]; i > 0 && a.Prev.Fingerprint.Value != before {
			t.Errorf("event %d names %s, want %s", i, a.Prev.Fingerprint.Value, before)
		}
		before = o.Attestations[0].Fingerprint.Value
	}
}

func TestECS(t *testing.T) {
	for _, line := range events(t, export.ECS, inspect.Filter{Type: "outcome"}) {
		var o struct {
			Time  time.Time `json:"@timestamp"`
			Event struct {
				Outcome, Action string
				Category, Type  []string
			}
			User   struct{ Name, Domain string }
			Agent  struct{ Name string } `json:"user_agent"`
			Trace  struct{ ID string }
			Portal map[string]any `json:"portcullis"`
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		if o.Time.IsZero() || o.Event.Outcome != "success" || o.User.Name != "bot" || o.User.Domain != "acme" || o.Agent.Name != hostile ||
			o.Trace.ID != "4bf92f3577b34da6a3ce929d0e0e4736" || o.Portal["serial_decimal"] != "31" {
			t.Errorf("got %s", line)
		}
	}
}

// TestCEFIsOneLineWithSevenFields: no name can end a field or make another one.
func TestCEFIsOneLineWithSevenFields(t *testing.T) {
	for _, line := range events(t, export.CEF, inspect.Filter{}) {
		plain := strings.NewReplacer(`\\`, "", `\|`, "", `\=`, "").Replace(line)
		header := strings.SplitN(plain, "|", 8)
		if len(header) != 8 || header[0] != "CEF:0" || header[3] != "1.2" {
			t.Errorf("got %s", line)
			continue
		}
		for pair := range strings.SplitSeq(header[7], "=") {
			if strings.ContainsAny(pair, "\r\n") {
				t.Errorf("a value has a line end: %q", line)
			}
		}
	}
	if got := events(t, export.CEF, inspect.Filter{Type: "outcome"}); !strings.Contains(got[0], `requestClientApplication=a|b\=c\\d"e`) {
		t.Errorf("got %s", got)
	}
}
