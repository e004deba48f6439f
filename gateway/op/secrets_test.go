package op_test

import (
	"slices"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
)

func TestSecrets(t *testing.T) {
	type item struct{ Plain call.Secret }
	out := struct {
		User   string
		Pass   call.Secret
		Data   call.SecretJSON
		Items  []item
		Maybe  *call.Secret
		Nobody *call.Secret
	}{
		"bob", "one", call.NewSecretJSON([]byte(`{"name":"two","list":[{"deep":"three"},4,null],"n":{}}`)),
		[]item{{"four"}, {"five"}},
		new(call.Secret("six")), nil,
	}
	var got []string
	op.Secrets(&out, func(all ...string) { got = all })
	if want := []string{"one", "two", "three", "four", "five", "six"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	op.Secrets(nil, func(all ...string) { got = all })
	if len(got) != 0 {
		t.Errorf("got %q from nothing", got)
	}
}

// part is embedded in results, as operations do with what they share.
type part struct {
	Token call.Secret     `json:"token"`
	Extra call.SecretJSON `json:"extra"`
}

// TestSecretsOfEmbeddedTypes: what a result shares with others is as secret as its own.
func TestSecretsOfEmbeddedTypes(t *testing.T) {
	var got []string
	out := struct {
		part
		Items []struct{ part }
	}{part: part{"a", call.NewSecretJSON([]byte(`{"k":"b"}`))}, Items: []struct{ part }{{part{Token: "c"}}}}
	op.Secrets(out, func(s ...string) { got = s })
	if !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %q", got)
	}
}

// TestSecretsAreNoFiles: a text that no redactor could know is passed over, what comes
// behind it is not.
func TestSecretsAreNoFiles(t *testing.T) {
	var got []string
	file := strings.Repeat("x", 200<<10)
	op.Secrets(call.NewSecretJSON([]byte(`{"file":"`+file+`","`+file+`":["a\"b",{"c":"d"}]}`)), func(s ...string) { got = s })
	if !slices.Equal(got, []string{`a"b`, "d"}) {
		t.Errorf("got %d texts", len(got))
	}
}

// TestSecretsBetweenEscapes: quotes and backslashes within strings end nothing, and a
// text that is no JSON ends the search.
func TestSecretsBetweenEscapes(t *testing.T) {
	for raw, want := range map[string][]string{
		`{"a\"b":"c\"d","e\\":"f\\","g" : ["h\\\"","\u003c"]}`: {`c"d`, `f\`, `h\"`, "<"},
		`"alone"`: {"alone"}, `["a" ,"b"]`: {"a", "b"}, `{"a":"b`: nil, `"\`: nil, `"`: nil, `"\"`: nil, `{"a":1}`: nil, ``: nil,
	} {
		var got []string
		op.Secrets(call.NewSecretJSON([]byte(raw)), func(all ...string) { got = all })
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
	}
}
