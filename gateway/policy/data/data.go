// Package data reads the data of a policy: who is granted what, the tiers, the duties of
// operations and the parts of teams. It is the one place that knows where these lie.
//
// What it gives is a view of the decoded document, which OPA's store holds as well:
// 100,000 grants are in memory once. The schema (policies/schema/data.json) has been held
// to a document before anybody relies on it; whatever is of another type counts as absent.
package data

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"portcullis/gateway/op"
)

// Data are the data of a policy, or of one file of it. The zero Data are empty.
type Data struct{ doc map[string]any }

// Of is a view of a decoded document. Do not change the document afterwards.
func Of(doc map[string]any) Data { return Data{doc} }

// Document is the decoded document. Do not change it.
func (d Data) Document() map[string]any { return d.doc }

// Version is the version of the input that the rules are written for.
func (d Data) Version() int {
	if v, ok := d.doc["version"].(float64); ok {
		return int(v)
	}
	return 1
}

// Zone is the name of the zone of the local time, empty for UTC.
func (d Data) Zone() string {
	name, _ := d.doc["zone"].(string)
	return name
}

// Masks are the fields of the input that the decision log hides.
func (d Data) Masks() []string { return fields(d.doc["masks"]) }

// Unmasked are the arguments that the decision log shows.
func (d Data) Unmasked() []string { return fields(d.doc["unmasked"]) }

// fields are the fields of the input that a list names.
func fields(v any) []string {
	out := texts(v)
	for i := range out {
		out[i] = strings.TrimPrefix(out[i], "input.")
	}
	return out
}

// Obligations are the duties of operations, by the operation's name.
func (d Data) Obligations() iter.Seq2[string, Terms] { return terms(d.doc["obligations"]) }

// Owned are the parts of the teams: names and paths by engine, by team.
func (d Data) Owned() map[string]map[string][]string {
	out := map[string]map[string][]string{}
	for team, v := range object(d.doc["teams"]) {
		parts := map[string][]string{}
		for engine, names := range object(object(v)["owns"]) {
			parts[engine] = texts(names)
		}
		out[team] = parts
	}
	return out
}

// Tiers reads the tiers. A burst that is not given is that of one window.
func (d Data) Tiers() (map[string]op.Tier, error) {
	raw, err := json.Marshal(d.doc["tiers"])
	if err != nil {
		return nil, err
	}
	var in map[string]struct {
		Requests   int            `json:"requests"`
		WindowS    int            `json:"window_s"`
		Burst      *int           `json:"burst"`
		Cost       map[string]int `json:"cost"`
		Streams    int            `json:"streams"`
		Concurrent int            `json:"concurrent"`
		Without    string         `json:"without_store"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("read the tiers: %w", err)
	}
	out := make(map[string]op.Tier, len(in))
	for name, t := range in {
		tier := op.Tier{
			Name: name, Requests: t.Requests, Window: time.Duration(t.WindowS) * time.Second, Burst: t.Requests,
			Costs: t.Cost, Streams: t.Streams, Concurrent: t.Concurrent, WithoutStore: t.Without,
		}
		if t.Burst != nil {
			tier.Burst = *t.Burst
		}
		out[name] = tier
	}
	return out, nil
}

// TierNames are the names of the tiers, sorted.
func (d Data) TierNames() []string { return slices.Sorted(maps.Keys(object(d.doc["tiers"]))) }

// Costs are the operations that a tier gives a cost of its own.
func (d Data) Costs(tier string) []string {
	return slices.Sorted(maps.Keys(object(object(object(d.doc["tiers"])[tier])["cost"])))
}

// object is a table, nil for anything else.
func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// texts are the texts of a list.
func texts(v any) (out []string) {
	list, _ := v.([]any)
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
