package policy

import (
	"time"

	"github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/op/jsonline"
	"portcullis/gateway/policy/document"
)

// record is one decision as it is kept. It holds no secret and no argument, but
// for the values that the policy reads.
type record struct {
	facts    document.Facts
	values   map[string]any
	tried    []string // rules in dry run that had something to say
	decision op.Decision
	took     time.Duration // of the evaluation, 0 when cached
	snapshot *snapshot
}

// unasked reports whether nobody will ask about the decision: no answer names what
// lets one event through to one reader, and those would soon push out all others.
func (r *record) unasked() bool {
	return r.decision.Allow && r.facts.Request.Phase == string(op.PhaseStream)
}

// clone is a record that may be kept: the one that is being made lives as long as
// its decision takes.
func (r *record) clone() *record {
	kept := *r
	return &kept
}

// Record is a line of the decision log: enough to decide once more.
type Record struct {
	V              int                  `json:"v"`
	ID             string               `json:"id"`
	Time           time.Time            `json:"time"`
	Revision       string               `json:"revision"`
	Caller         string               `json:"caller"`
	OnBehalfOf     string               `json:"on_behalf_of,omitempty"` // HMAC of the key of whom a second credential names
	Allow          bool                 `json:"allow"`
	Code           string               `json:"code,omitempty"`
	Reasons        []op.Reason          `json:"reasons,omitempty"`
	RequiredScopes []string             `json:"required_scopes,omitempty"`
	PathPrefix     string               `json:"path_prefix,omitempty"`
	Tier           string               `json:"tier"`
	Cost           int                  `json:"cost"`
	Obligations    document.Obligations `json:"obligations"`
	DryRun         []string             `json:"dry_run,omitempty"` // rules in dry run that had something to say
	Cached         bool                 `json:"cached"`
	EvalUS         int64                `json:"eval_us"`
	Input          map[string]any       `json:"input"`
	Erased         []string             `json:"erased,omitempty"` // fields whose values are hashed
}

// line is the record for the log, its input masked: the values of arguments that the
// policy does not spell out, and what its data say.
func (r *record) line(key []byte) Record {
	out := r.head()
	out.OnBehalfOf = behalfOf(r.facts.Caller, key)
	in := r.input()
	raw, err := json.Marshal(in)
	if err == nil {
		err = json.Unmarshal(raw, &out.Input)
	}
	if err != nil {
		return out
	}
	if args, ok := out.Input["args"].(map[string]any); ok && r.values == nil {
		delete(args, "values") // not recorded, which is something else than none given
	}
	out.Erased = r.snapshot.erase(out.Input, key)
	return out
}

// behalfOf tells one person from another whom a caller calls for, wherever the masks hide
// who that is; empty for nobody.
func behalfOf(c *call.Caller, key []byte) string {
	if c.Behalf == nil {
		return ""
	}
	told, _ := hiding{key: key}.value(c.Behalf.Key())
	text, _ := told.(string)
	return text
}

// head is the record without its input, and without whom the caller calls for.
func (r *record) head() Record {
	d := r.decision
	return Record{
		V: 1, ID: d.ID, Time: r.facts.Time, Revision: d.Revision, Caller: r.facts.Caller.Key(),
		Allow: d.Allow, Code: string(d.Code), Reasons: d.Reasons, RequiredScopes: d.RequiredScopes,
		PathPrefix: d.PathPrefix, Tier: d.Tier, Cost: d.Cost, Obligations: obligationsOf(d.Obligations),
		DryRun: r.tried, Cached: d.Cached, EvalUS: r.took.Microseconds(),
	}
}

// append appends the line for the log. Where nothing of the input is to be hidden, it is
// not taken apart for that.
func (r *record) append(b, key []byte) ([]byte, error) {
	if len(r.snapshot.fields) > 0 || r.values != nil {
		raw, err := json.Marshal(r.line(key), jsonv1.OmitEmptyWithLegacySemantics(true)) // as encoding/json has it
		return append(b, raw...), err
	}
	o := jsonline.Begin(b)
	r.appendHead(&o, key)
	in := r.input()
	in.AppendTo(&o, "input")
	return o.End(), nil
}

// appendHead appends what head has, member by member: a line is written for every
// decision.
func (r *record) appendHead(o *jsonline.Object, key []byte) {
	d := &r.decision
	o.Int("v", 1)
	o.Str("id", d.ID)
	o.Time("time", r.facts.Time)
	o.Str("revision", d.Revision)
	o.Str("caller", r.facts.Caller.Key())
	o.Opt("on_behalf_of", behalfOf(r.facts.Caller, key))
	o.Bool("allow", d.Allow)
	o.Opt("code", string(d.Code))
	optional(o, "reasons", d.Reasons)
	texts(o, "required_scopes", d.RequiredScopes)
	o.Opt("path_prefix", d.PathPrefix)
	o.Str("tier", d.Tier)
	o.Int("cost", int64(d.Cost))
	r.appendObligations(o)
	texts(o, "dry_run", r.tried)
	o.Bool("cached", d.Cached)
	o.Int("eval_us", r.took.Microseconds())
}

func (r *record) appendObligations(o *jsonline.Object) {
	if all := &r.decision.Obligations; len(all.Transforms) > 0 || all.Fields != nil {
		value(o, "obligations", obligationsOf(*all))
		return
	}
	all := obligationsOf(r.decision.Obligations)
	o.Open("obligations")
	o.List("transforms", nil)
	o.Str("deliver", all.Deliver)
	o.Int("wrap_ttl_s", int64(all.WrapTTLS))
	o.Int("max_ttl_s", int64(all.MaxTTLS))
	o.Null("approval")
	if all.Masked {
		o.Bool("masked", true)
	}
	o.Close()
}

// optional appends a list that is not empty, texts one of texts, and value anything that
// JSON can hold.
func optional[T any](o *jsonline.Object, k string, vs []T) {
	if len(vs) > 0 {
		value(o, k, vs)
	}
}

func texts(o *jsonline.Object, k string, vs []string) {
	if len(vs) > 0 {
		o.List(k, vs)
	}
}

func value(o *jsonline.Object, k string, v any) {
	raw, err := json.Marshal(v, json.Deterministic(true), jsonv1.OmitEmptyWithLegacySemantics(true))
	if err != nil {
		raw = []byte("null") // what is decoded from JSON can be written as JSON
	}
	o.Key(k)
	o.B = append(o.B, raw...)
}

// input is the whole input that was decided on.
func (r *record) input() document.Input {
	in := r.facts.Input(r.snapshot.all)
	in.Args.Values = r.values
	return in
}

func obligationsOf(o op.Obligations) document.Obligations {
	out := document.Obligations{
		Deliver: string(o.Deliver), Masked: o.Masked && o.Deliver != call.Masked, Fields: o.Fields, WrapTTLS: int(o.WrapTTL.Seconds()), MaxTTLS: int(o.MaxTTL.Seconds()),
	}
	for _, t := range o.Transforms {
		out.Transforms = append(out.Transforms, document.Transform(t))
	}
	return out
}
