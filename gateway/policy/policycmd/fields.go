package policycmd

import (
	"encoding/json"
	"slices"
	"strings"

	"portcullis/gateway/policy/document"
)

// fieldOf is a field as JSON has it; nil for one that is not there.
func fieldOf(in document.Input, field string) any {
	return member(decoded(in), field)
}

func member(all map[string]any, field string) any {
	var v any = all
	for part := range strings.SplitSeq(field, ".") {
		m, _ := v.(map[string]any)
		v = m[part]
	}
	return v
}

// decoded is the input as JSON; an input can always be encoded.
func decoded(in document.Input) map[string]any {
	out := map[string]any{}
	raw, err := json.Marshal(in)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		return map[string]any{}
	}
	return out
}

// setField changes a field, with the objects around it. A value that the field cannot
// hold changes nothing.
func setField(in *document.Input, field string, v any) {
	change(in, decoded(*in), field, v)
}

// change makes an input of what it decodes to with a field changed.
func change(in *document.Input, all map[string]any, field string, v any) {
	parts := strings.Split(field, ".")
	m := all
	for _, part := range parts[:len(parts)-1] {
		inner, ok := m[part].(map[string]any)
		if !ok {
			inner = map[string]any{}
			m[part] = inner
		}
		m = inner
	}
	m[parts[len(parts)-1]] = v
	raw, err := json.Marshal(all)
	if err != nil {
		return
	}
	changed, err := document.ParseInput(raw)
	if err != nil {
		return
	}
	if len(parts) > 2 && document.Within(field, "args.values") && !slices.Contains(changed.Args.Keys, parts[2]) {
		changed.Args.Keys = append(slices.Clone(changed.Args.Keys), parts[2])
	}
	*in = changed
}
