package policy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"portcullis/gateway/policy/document"
	"portcullis/gateway/policy/program"
)

// masks say what the decision log hides of an input. The fields that the data list
// below masks are hidden always. Arguments are hidden but for the values that the
// policy spells out itself, which say no more than its answer does, and for the
// arguments that the data list below unmasked.
type masks struct {
	fields   []string        // below masks
	unmasked []string        // below unmasked
	spoken   map[string]bool // JSON of the policy's constants; empty when it reads no argument
}

func masksOf(p *program.Program) masks {
	m := masks{fields: p.Data.Masks(), unmasked: p.Data.Unmasked(), spoken: map[string]bool{"true": true, "false": true}}
	if !p.Reads().Any("args.values") {
		return m
	}
	for _, v := range p.Constants() {
		if raw, err := json.Marshal(v); err == nil {
			m.spoken[string(raw)] = true
		}
	}
	return m
}

// copies are the fields that repeat another one, or a part of it: masking the one masks
// the others.
func copies() map[string][]string {
	path := []string{"resource.ancestors", "resource.segments", "resource.relative", "resource.relative_segments", "resource.matches"}
	return map[string][]string{
		"principal.id":     {"principal.acting.id", "principal.on_behalf_of.id"},
		"principal.kind":   {"principal.acting.kind", "principal.on_behalf_of.kind"},
		"principal.tenant": {"principal.on_behalf_of.tenant"}, "principal.issuer": {"principal.on_behalf_of.issuer"},
		"principal.roles": {"principal.on_behalf_of.roles"}, "principal.scopes": {"principal.on_behalf_of.scopes"},
		"principal.tier": {"principal.on_behalf_of.tier"}, "principal.claims": {"principal.on_behalf_of.claims"},
		"principal.auth":   {"principal.on_behalf_of.credential"},
		"principal.actors": {"principal.acting"}, "principal.on_behalf_of": {"principal.acting", "principal.actors"},
		"principal.prefix": append([]string{"principal.on_behalf_of.prefix"}, path...), "resource.path": path,
		"principal.auth.age_s": {"principal.auth.created_s", "principal.on_behalf_of.credential.created_s"}, "principal.auth.created_s": {"principal.auth.age_s", "principal.on_behalf_of.credential.created_s"},
		"context.time.unix_s": {"context.time.date", "context.time.local", "context.time.minute_utc"},
	}
}

// erase hides what the log must not show, and returns the fields in which something
// is hidden, sorted.
func (m masks) erase(in map[string]any, key []byte) (erased []string) {
	for _, path := range m.fields {
		erased = append(erased, mask(in, strings.Split(path, "."), hiding{key: key, name: path})...)
		for _, same := range copies()[path] { // what follows from it says nothing of its own
			mask(in, strings.Split(same, "."), hiding{key: key, name: same})
		}
	}
	erased = append(erased, mask(in, []string{"args", "values"}, hiding{key: key, name: "args.values", shown: m.shown})...)
	slices.Sort(erased)
	return slices.Compact(erased)
}

// shown reports whether an argument's value is recorded as it is.
func (m masks) shown(name string, value []byte) bool {
	within := func(field string) bool { return document.Within(name, field) }
	return m.spoken[string(value)] || slices.ContainsFunc(m.unmasked, within)
}

// hiding says how leaves are hidden.
type hiding struct {
	key   []byte
	name  string                               // of the field
	shown func(name string, value []byte) bool // which leaves are not; nil for none
}

// mask replaces the leaves at and below a path by their HMACs and returns the names of
// the fields in which something was replaced.
func mask(in map[string]any, path []string, h hiding) (names []string) {
	v, there := in[path[0]]
	inner, ok := v.(map[string]any)
	switch {
	case !there:
		return nil
	case len(path) == 1:
		in[path[0]], names = h.all(v)
		return names
	case ok:
		return mask(inner, path[1:], h)
	}
	return nil
}

// all hides a value. Lists and objects stay what they are, so that their lengths and
// names can be read.
func (h hiding) all(v any) (any, []string) {
	var names []string
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			below := h
			below.name += "." + k
			masked, inner := below.all(e)
			v[k], names = masked, append(names, inner...)
		}
		return v, names
	case []any:
		for i, e := range v {
			masked, inner := h.all(e)
			v[i], names = masked, append(names, inner...)
		}
		return v, names
	}
	masked, changed := h.value(v)
	if changed {
		names = []string{h.name}
	}
	return masked, names
}

// value replaces a scalar. Equal values have equal HMACs, and nothing else is revealed.
func (h hiding) value(v any) (any, bool) {
	if v == nil {
		return v, false
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return hidden + "?", true
	}
	if h.shown != nil && h.shown(h.name, raw) {
		return v, false
	}
	mac := hmac.New(sha256.New, h.key)
	mac.Write(raw)
	return hidden + hex.EncodeToString(mac.Sum(nil)[:16]), true
}

// hidden begins every masked value.
const hidden = "hmac:"
