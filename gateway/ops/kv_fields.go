package ops

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/call"
)

// Only implements op.Fielded.
func (o kvReadOut) Only(fields []string) (any, error) {
	data, err := only(o.Data.Reveal(), fields)
	o.Data = call.NewSecretJSON(data)
	return o, err
}

// Only implements op.Fielded: the name of a field that is not shown is not told either.
func (o kvSubkeysOut) Only(fields []string) (_ any, err error) {
	o.Subkeys, err = only(o.Subkeys, fields)
	return o, err
}

// only keeps the members of an object that are named. What is no object has none.
func only(raw []byte, fields []string) ([]byte, error) {
	var all map[string]jsontext.Value
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("show only some fields: %w", err)
	}
	kept := make(map[string]jsontext.Value, len(fields))
	for _, f := range fields {
		if v, there := all[f]; there {
			kept[f] = v
		}
	}
	return json.Marshal(kept, json.Deterministic(true))
}
