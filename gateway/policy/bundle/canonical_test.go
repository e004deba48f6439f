package bundle

import (
	"encoding/json"
	"testing"
)

// The revision of data is that of their JSON, whoever writes it.
func TestDataAreWrittenAsJSON(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `null`, `true`, `""`, `{"b": 1, "a": [1, -2, 0, 1.5, 1e20, 1e-9, 123456789012345678], "": null}`, `-0`,
		`{"<&>": "a\"b\\c\u0000\u2028é\u007f", "z": {"y": {"x": [[], {}]}}}`, `999999999999999`, `1000000000000000`, `-999999999999999.5`,
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendJSON(nil, v); string(got) != string(want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
