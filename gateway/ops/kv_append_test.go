package ops

import (
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

// slow has the fields of a read, without the way to append them.
type slow kvReadOut

// TestReadsAreAppendedAsTheyAreEncoded compares the two ways to write a read.
func TestReadsAreAppendedAsTheyAreEncoded(t *testing.T) {
	for name, out := range map[string]kvReadOut{
		"nothing":         {},
		"a secret":        {Data: call.NewSecretJSON([]byte(`{"a":"b","n":1,"deep":{"x":[1,2,null]}}`)), Version: 3, CreatedTime: "2026-01-02T03:04:05Z"},
		"no secret":       {Data: call.NewSecretJSON([]byte(`null`)), Version: 3},
		"to be deleted":   {Data: call.NewSecretJSON([]byte(`{}`)), Version: 3, CreatedTime: "a", DeletionTime: "b"},
		"odd times":       {Data: call.NewSecretJSON([]byte(`{}`)), CreatedTime: "\"\\\n", DeletionTime: "<>"},
		"no UTF-8":        {Data: call.NewSecretJSON([]byte(`{}`)), CreatedTime: "\xff"},
		"lines":           {Data: call.NewSecretJSON([]byte("{\n\"a\":\r\"b\"}")), Version: 1, CreatedTime: "a"},
		"custom metadata": {Data: call.NewSecretJSON([]byte(`{"a":"b"}`)), Version: 1, CreatedTime: "a", CustomMetadata: []byte(`{"owner":"x"}`)},
		"empty metadata":  {Data: call.NewSecretJSON([]byte(`{"a":"b"}`)), Version: 1, CreatedTime: "a", CustomMetadata: []byte(`{}`)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := op.Encode(out)
			want, werr := op.Encode(slow(out))
			if string(got) != string(want) || (err == nil) != (werr == nil) {
				t.Errorf("got %s, %v; want %s, %v", got, err, want, werr)
			}
		})
	}
}
