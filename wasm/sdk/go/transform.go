//go:build wasip1

package main

import "encoding/json"

// field is the member of the result's data that is masked. Change it, or read it
// from the arguments of the decision in Input.Meta.
const field = "password"

// Configure gets the config of the manifest as JSON, once, and may refuse it.
func Configure([]byte) Code { return OK }

// Transform masks one field of what a read returns, and counts how often it did.
func Transform(in Input) ([]byte, Code) {
	var result map[string]json.RawMessage
	var data map[string]json.RawMessage
	if json.Unmarshal(in.Payload, &result) != nil {
		Say(Warning, "the result is no object")
		return nil, BadInput
	}
	if json.Unmarshal(result["data"], &data) != nil || data[field] == nil {
		return Unchanged, OK
	}
	data[field] = json.RawMessage(`"[masked]"`)
	Count("masked", 1)
	result["data"], _ = json.Marshal(data)
	out, err := json.Marshal(result)
	if err != nil {
		return nil, Internal
	}
	return out, OK
}
