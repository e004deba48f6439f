package op_test

import (
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

func TestEncodeMasked(t *testing.T) {
	type out struct {
		Data     call.SecretJSON `json:"data"`
		Password call.Secret     `json:"password"`
		Version  int             `json:"version"`
	}
	const canary = "canary-0815"
	cases := map[string]struct{ data, want string }{
		"object":     {`{"user":"canary-0815","port":1}`, `{"user":null,"port":null}`},
		"nested":     {`{"a":{"b":["canary-0815",{"c":true}]},"d":[]}`, `{"a":{"b":[null,{"c":null}]},"d":[]}`},
		"name again": {`{"a":"a","b":{"a":"canary-0815"}}`, `{"a":null,"b":{"a":null}}`},
		"scalar":     {`"canary-0815"`, `null`},
		"nothing":    {``, `null`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := op.EncodeMasked(out{call.NewSecretJSON([]byte(tc.data)), canary, 3})
			want := `{"data":` + tc.want + `,"password":"[masked]","version":3}`
			if err != nil || string(got) != want || strings.Contains(string(got), canary) {
				t.Errorf("got %s, %v\nwant %s", got, err, want)
			}
		})
	}
	if _, err := op.EncodeMasked(out{Data: call.NewSecretJSON([]byte(`{"a":canary-0815`))}); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("what is not JSON: got %v", err)
	}
}
