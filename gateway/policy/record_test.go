package policy

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/policy/document"
)

// TestALineIsWhatTheRecordSays: what is appended to the decision log reads as the record
// that explains the decision, with every member that a decision can have and with none.
func TestALineIsWhatTheRecordSays(t *testing.T) {
	facts := document.Facts{
		Caller: &call.Caller{Subject: "bot", Tenant: "t", Kind: "agent"}, Op: &op.Op{Spec: op.Spec{Name: "kv.read", Engine: "kv"}},
		Request: document.Request{ID: "r", Phase: "call"}, Time: time.Unix(1_700_000_000, 123_000).UTC(),
	}
	reasons := []op.Reason{{Code: "kv.no", Msg: "a \"reason\"", Audience: "agent", Rule: "x"}, {Code: "bare"}}
	for name, d := range map[string]op.Decision{
		"empty":  {},
		"denied": {ID: "d", Code: call.Forbidden, Reasons: reasons, RequiredScopes: []string{"write"}, Tier: "gold", Cost: 3, Revision: "rev"},
		"allowed": {ID: "d", Allow: true, PathPrefix: "mcp/bot", Cached: true, Obligations: op.Obligations{
			Deliver: call.Wrapped, Masked: true, WrapTTL: time.Minute, MaxTTL: time.Hour,
		}},
		"obliged": {Allow: true, Obligations: op.Obligations{
			Transforms: []op.Transform{{Name: "mask", Args: map[string]any{"keep": 4.0, "in": []any{"a"}}}, {Name: "bare"}}, Deliver: call.Masked, Masked: true, Fields: []string{"user"},
		}},
		"no field": {Allow: true, Obligations: op.Obligations{Fields: []string{}}},
	} {
		r := &record{facts: facts, decision: d, tried: d.RequiredScopes, took: 7 * time.Microsecond, snapshot: &snapshot{all: document.Everything()}}
		line, err := r.append(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		said, err := jsonv2.Marshal(r.line(nil), jsonv1.OmitEmptyWithLegacySemantics(true))
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%s: %v: %s", name, err, line)
		}
		if err := json.Unmarshal(said, &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %s\nwant %s", name, line, said)
		}
	}
}
