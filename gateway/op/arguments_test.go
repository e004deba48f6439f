package op_test

import (
	"context"
	"strings"
	"testing"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

type argsIn struct {
	Path     call.Ref          `json:"path" jsonschema:"p"`
	Count    int               `json:"count,omitzero" jsonschema:"c"`
	CAS      *int              `json:"cas,omitempty" jsonschema:"c"`
	Deep     bool              `json:"deep,omitzero" jsonschema:"d"`
	Form     string            `json:"form,omitzero" jsonschema:"f"`
	TTL      string            `json:"ttl,omitzero" jsonschema:"t"`
	Text     *string           `json:"text,omitzero" jsonschema:"t"`
	Data     call.SecretJSON   `json:"data,omitzero" jsonschema:"d"`
	Versions []int             `json:"versions,omitempty" jsonschema:"v"`
	Labels   map[string]string `json:"labels,omitempty" jsonschema:"l"`
	Items    []struct {
		N int `json:"n" jsonschema:"n"`
	} `json:"items,omitempty" jsonschema:"i"`
}

// Target implements op.Target.
func (*argsIn) Target(op.At) (call.Resource, error) { return call.Resource{}, nil }

func bindArgs(t *testing.T, args string) (string, error) {
	t.Helper()
	spec := op.Spec{
		Name: "x.y", Limits: map[string]op.Limit{
			"form":  {Enum: []string{"base64", "utf-8"}, Aliases: map[string]string{"utf8": "utf-8"}},
			"count": {Max: new(9.0)}, "labels": {MaxBytes: 60},
		},
		Aliases: map[string]string{"shape": "form"}, Hints: map[string]string{"metadata": "set by another operation"},
	}
	o := op.New(spec, func(context.Context, *vault.Session, argsIn) (struct{}, error) { return struct{}{}, nil })
	c, err := op.NewCatalogue(o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Bind(&op.Request{Op: "x.y", Args: []byte(args), Caller: &call.Caller{}})
	if err != nil {
		return "", err
	}
	values, err := b.Values()
	return string(values), err
}

// What a model plainly means is what is decided on: values in the types of the schema.
func TestArgumentsAreTakenAsMeant(t *testing.T) {
	for args, want := range map[string]string{
		`{"path":"a","count":"1"}`:                            `{"path":"a","count":1}`,
		`{"path":"a","count":1.0}`:                            `{"path":"a","count":1}`,
		`{"path":"a","count":2e0,"cas":"0"}`:                  `{"path":"a","count":2,"cas":0}`,
		`{"path":"a","deep":"true"}`:                          `{"path":"a","deep":true}`,
		`{"path":"a","deep":"False"}`:                         `{"path":"a"}`,
		`{"path":"a","form":"","cas":null,"count":""}`:        `{"path":"a"}`,
		`{"path":"a","form":"UTF-8"}`:                         `{"path":"a","form":"utf-8"}`,
		`{"path":"a","shape":"utf8"}`:                         `{"path":"a","form":"utf-8"}`,
		`{"path":"a","ttl":3600}`:                             `{"path":"a","ttl":"3600"}`,
		`{"path":"a","text":""}`:                              `{"path":"a","text":""}`,
		`{"path":"a","data":"{\"k\":1}"}`:                     `{"path":"a","data":"[redacted]"}`,
		`{"path":"a","versions":"[1,\"2\"]"}`:                 `{"path":"a","versions":[1,2]}`,
		`{"path":"a","versions":"1, 2"}`:                      `{"path":"a","versions":[1,2]}`,
		`{"path":"a","versions":3}`:                           `{"path":"a","versions":[3]}`,
		`{"path":"a","labels":{"n":12345678901234567890}}`:    `{"path":"a","labels":{"n":"12345678901234567890"}}`,
		`{"path":"a","items":[{"n":"1"}]}`:                    `{"path":"a","items":[{"n":1}]}`,
		`{"path":"a","sessionId":"x","toolCallId":{"y":[1]}}`: `{"path":"a"}`,
		`"{\"path\":\"a\"}"`:                                  `{"path":"a"}`,
	} {
		if got, err := bindArgs(t, args); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", args, got, err, want)
		}
	}
}

// Who reads a refusal knows which argument it is about, what was there and what is
// wanted, and finds no value of his own in it.
func TestRefusedArgumentsAreLocated(t *testing.T) {
	for args, want := range map[string]string{
		`{"path":"a","count":"canary"}`:                      `argument count: got a text, wanted is a whole number, such as 3`,
		`{"path":"a","count":1.5}`:                           `argument count: got a number that is not whole`,
		`{"path":"a","count":99999999999999999999}`:          `argument count: got a number that is not whole, or too large`,
		`{"path":"a","count":10}`:                            `argument count: more than 9`,
		`{"path":"a","deep":1}`:                              `argument deep: got a whole number, wanted is true or false`,
		`{"path":"a","data":"canary"}`:                       `argument data: got a text, wanted is an object, such as {"user":"app"}`,
		`{"path":"a","data":[1]}`:                            `argument data: got a list`,
		`{"path":"a","form":"canary"}`:                       `argument form: must be one of [base64 utf-8]`,
		`{"path":"a","versions":["canary"]}`:                 `argument versions[0]: got a text`,
		`{"path":"a","items":[{"n":1},{"n":{}}]}`:            `argument items[1].n: got an object`,
		`{"path":"a","items":[{"n":1,"m":2}]}`:               `unknown argument items[0].m`,
		`{"path":"a","labels":{"n":["canary"]}}`:             `argument labels.n: got a list`,
		`{"path":"a","labels":{"n":"` + longText(60) + `"}}`: `argument labels: longer than 60 bytes`,
		`{"path":"a","ttl":"` + longText(1025) + `"}`:        `argument ttl: longer than 1024 bytes`,
		`{"count":1}`:                                        `argument path: missing; wanted is a text, such as "app/db"`,
		`{"path":null}`:                                      `argument path: got null`,
		`{"path":""}`:                                        `argument path: `,
		`{"paht":"a"}`:                                       `unknown argument paht: did you mean path? Known are cas, count,`,
		`{"Path":"a"}`:                                       `did you mean path?`,
		`{"path":"a","canary !":1}`:                          `unknown argument (not a name)`,
		`{"path":"a","metadata":{}}`:                         `argument metadata: set by another operation`,
		`{"path":"a","form":"base64","shape":"base64"}`:      `argument form: given twice, as shape as well`,
		`[1]`:                     `the arguments are a list; wanted is a JSON object`,
		`{"path":"a","path":"b"}`: `duplicate key at line 1`,
	} {
		_, err := bindArgs(t, args)
		if !call.Is(err, call.InvalidRequest) || !strings.Contains(call.AsError(err).Msg, want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%.80s: got %v, want %s", args, err, want)
		}
	}
}

func TestInvalidJSONIsLocated(t *testing.T) {
	for raw, want := range map[string]string{
		"{\n  \"a\": 1,\n  \"b\": tru\n}": "line 3, column",
		`{"a":1`:                          "it ends too early at line 1, column 7",
		`{"a":1} x`:                       "behind the JSON value, from line 1, column",
		"{\"a\":1,\n\"a\":2}":             "duplicate key at line 2, column 1",
	} {
		if err := op.CheckJSON([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", raw, err, want)
		}
	}
}

// A number that Vault would change is refused with its place, one that it keeps passes.
func TestNumbersThatVaultWouldChange(t *testing.T) {
	for _, n := range []string{
		"0", "-0", "1", "1.10", "0.1", "-2.5e-3", "9007199254740992", "1e22", "1.0", "100", "1E+2", "0.0", "0e9999", "1e308", "123456789.125",
	} {
		if err := op.CheckNumbers("data", []byte(`{"a":{"b":[`+n+`]}}`)); err != nil {
			t.Errorf("%s: got %v, want it kept", n, err)
		}
	}
	for _, n := range []string{
		"9007199254740993", "-9007199254740993", "1e400", "-1e400", "1e-400", "0.1000000000000000055511151231257827", "123456789012345678901234567890.5",
		"1e999999999", "1e-999999999", "3.14159265358979323846", "1152921504606846976",
	} {
		err := op.CheckNumbers("data", []byte(`{"a":{"b":["x",`+n+`]}}`))
		if !call.Is(err, call.InvalidRequest) || !strings.Contains(err.Error(), "/a/b/1") || strings.Contains(err.Error(), n) {
			t.Errorf("%s: got %v, want a refusal that says where", n, err)
		}
	}
}

func longText(n int) string { return strings.Repeat("x", n) }
