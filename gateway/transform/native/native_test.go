package native_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"portcullis/gateway/transform/native"
)

const (
	vaultToken = "hvs.CAESIJ4example0example0example0example0"
	jwt        = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJleGFtcGxlIn0.c2lnbmF0dXJlLWV4YW1wbGU"
	pem        = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIExampleExampleExample\nExample\n-----END EC PRIVATE KEY-----"
)

func ExampleRedactor_Append() {
	r := native.New()
	r.Learn("correct horse")
	line := r.Append(nil, []byte(`{"msg":"read correct horse","password":"x","token":"hvs.CAESIJ4example0example0"}`))
	fmt.Println(string(line))
	// Output: {"msg":"read [redacted]","password":"[redacted]","token":"[redacted]"}
}

func TestAppend(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nothing to find", `{"level":"INFO","msg":"call","op":"kv.read","mount":"secret","path":"a/b.c","n":12}`, ""},
		{"key", `{"password":"hunter2","user":"bob"}`, `{"password":"[redacted]","user":"bob"}`},
		{"key with spaces", `{"Password" : "hunter2"}`, `{"Password" : "[redacted]"}`},
		{"key with prefix", `{"db_password":"a","X-Vault-Token":"b","apiKey":"c"}`, `{"db_password":"[redacted]","X-Vault-Token":"[redacted]","apiKey":"[redacted]"}`},
		{"number", `{"secret":12.5e3,"a":1}`, `{"secret":"[redacted]","a":1}`},
		{"literal", `{"secret":true,"token":null,"password":""}`, ""},
		{"object", `{"credentials":{"a":"}","b":[1,2]},"c":1}`, `{"credentials":"[redacted]","c":1}`},
		{"escaped quote", `{"secret":"a\"b\\","c":1}`, `{"secret":"[redacted]","c":1}`},
		{"nested once", `{"body":"{\"password\":\"a\\\"b\",\"c\":1}"}`, `{"body":"{\"password\":\"[redacted]\",\"c\":1}"}`},
		{"nested backslash at the end", `{"body":"{\"secret\":\"a\\\\\",\"c\":1}"}`, `{"body":"{\"secret\":\"[redacted]\",\"c\":1}"}`},
		{"nested twice", `{"b":"{\"b\":\"{\\\"token\\\":\\\"x\\\",\\\"c\\\":1}\"}"}`, `{"b":"{\"b\":\"{\\\"token\\\":\\\"[redacted]\\\",\\\"c\\\":1}\"}"}`},
		{"nested object", `{"b":"{\"secret\":{\"a\":\"x\"},\"c\":1}"}`, `{"b":"{\"secret\":\"[redacted]\",\"c\":1}"}`},
		{"nested and cut off", `{"b":"{\"secret\":\"abc"}`, `{"b":"{\"secret\":\"[redacted]"}`},
		{"vault token", "token is " + vaultToken + ", ok", "token is [redacted], ok"},
		{"vault token after an escape", `{"m":"a\n` + vaultToken + `"}`, `{"m":"a\n[redacted]"}`},
		{"batch token", "hvb.AAAAAQJexampleexample", "[redacted]"},
		{"legacy token", "s.abcdefghijklmnopqrstuvwx", "[redacted]"},
		{"file name", "class s.go and gateway/events.go", ""},
		{"jwt", `{"m":"` + jwt + `"}`, `{"m":"[redacted]"}`},
		{"aws", "AKIAIOSFODNN7EXAMPLE", "[redacted]"},
		{"aws inside a word", "XAKIAIOSFODNN7EXAMPLEX", ""},
		{"github", "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted]"},
		{"github fine grained", "github_pat_11ABCDEFG0abcdefghijkl_mnop", "[redacted]"},
		{"pem", "a " + pem + " b", "a [redacted] b"},
		{"pem in JSON", `{"m":"` + strings.ReplaceAll(pem, "\n", `\n`) + `"}`, `{"m":"[redacted]"}`},
		{"pem cut off", "a " + pem[:50], "a [redacted]"},
		{"certificate", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", ""},
		{"query", "/x?token=abc&b=1", "/x?token=[redacted]&b=1"},
		{"header", "Authorization: Bearer abcdef, x", "Authorization: Bearer [redacted], x"},
		{"url", `"postgres://app:s3cr3t@db:5432/x"`, `"postgres://app:[redacted]@db:5432/x"`},
		{"url without a password", `"https://user@host/a:b@c"`, ""},
		{"already redacted", `{"password":"[redacted]"}`, ""},
	}
	r := native.New()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			if want == "" {
				want = tt.in
			}
			if got := string(r.Append(nil, []byte(tt.in))); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestLearn(t *testing.T) {
	const secret = "p\"äss\\word\n<1>"
	r := native.New()
	r.Learn(secret, "tiny")
	once, _ := json.Marshal(secret)
	twice, _ := json.Marshal(string(once))
	for name, text := range map[string]string{
		"raw": secret, "escaped": string(once), "twice": string(twice),
		"base64": base64.StdEncoding.EncodeToString([]byte(secret)), "hex": hex.EncodeToString([]byte(secret)),
		"go quoted": fmt.Sprintf("%q", secret),
	} {
		t.Run(name, func(t *testing.T) {
			got := string(r.Append(nil, []byte("a "+text+" z")))
			if strings.Contains(got, "ss") || !strings.Contains(got, native.Redacted) {
				t.Errorf("got %q", got)
			}
		})
	}
	if got := string(r.Append(nil, []byte("tiny"))); got != "tiny" {
		t.Errorf("short value: got %q", got)
	}
}

func TestLearnForgetsTheOldest(t *testing.T) {
	r := native.New()
	value := func(i int) string { return fmt.Sprintf("value-%06d", i) }
	for i := range 2000 {
		r.Learn(value(i))
	}
	if got := string(r.Append(nil, []byte(value(0)))); got != value(0) {
		t.Errorf("oldest: got %q", got)
	}
	for i := 1500; i < 2000; i++ {
		if got := string(r.Append(nil, []byte(value(i)))); got != native.Redacted {
			t.Fatalf("value %d: got %q", i, got)
		}
	}
}

func TestBuiltins(t *testing.T) {
	const doc = `{ "data": {"user":"bob", "Password":"a\"b", "list":[{"pin":1},{"pin":2}], "a/b~c":"x"} }`
	tests := []struct {
		name       string
		fn         native.Func
		args, want string
	}{
		{"pointer", native.Mask, `{"pointers":["/data/user"]}`, `{ "data": {"user":"[masked]", "Password":"a\"b", "list":[{"pin":1},{"pin":2}], "a/b~c":"x"} }`},
		{"pointer into array", native.Mask, `{"pointers":["/data/list/1/pin"],"with":"*"}`, `{ "data": {"user":"bob", "Password":"a\"b", "list":[{"pin":1},{"pin":"*"}], "a/b~c":"x"} }`},
		{"pointer with star", native.Mask, `{"pointers":["/data/list/*/pin"],"with":"*"}`, `{ "data": {"user":"bob", "Password":"a\"b", "list":[{"pin":"*"},{"pin":"*"}], "a/b~c":"x"} }`},
		{"pointer with escapes", native.Mask, `{"pointers":["/data/a~1b~0c"],"with":"*"}`, `{ "data": {"user":"bob", "Password":"a\"b", "list":[{"pin":1},{"pin":2}], "a/b~c":"*"} }`},
		{"key", native.Mask, `{"keys":["pass*","P*N"],"with":""}`, `{ "data": {"user":"bob", "Password":"", "list":[{"pin":""},{"pin":""}], "a/b~c":"x"} }`},
		{"whole value", native.Mask, `{"pointers":["/data"]}`, `{ "data": "[masked]" }`},
		{"everything", native.Mask, `{"with":"*"}`, `{ "data": {"user":"*", "Password":"*", "list":[{"pin":"*"},{"pin":"*"}], "a/b~c":"*"} }`},
		{"nothing", native.Mask, `{"keys":["none"]}`, ``},
		{"base64", native.Encode, `{"as":"base64","keys":["password"]}`, `{ "data": {"user":"bob", "Password":"YSJi", "list":[{"pin":1},{"pin":2}], "a/b~c":"x"} }`},
		{"hex of a number", native.Encode, `{"as":"hex","pointers":["/data/list/0/pin"]}`, `{ "data": {"user":"bob", "Password":"a\"b", "list":[{"pin":"31"},{"pin":2}], "a/b~c":"x"} }`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, changed, err := tt.fn([]byte("-"), []byte(doc), []byte(tt.args))
			if err != nil || changed != (tt.want != "") || string(got) != "-"+tt.want {
				t.Errorf("got %s, %v, %v", got, changed, err)
			}
		})
	}
}

func TestSchemas(t *testing.T) {
	for name, s := range map[string]interface{ Validate(any) error }{
		"mask":   must(native.MaskSchema().Resolve(nil)),
		"encode": must(native.EncodeSchema().Resolve(nil)),
	} {
		t.Run(name, func(t *testing.T) {
			good := map[string]any{"keys": []any{"a"}}
			if name == "encode" {
				good["as"] = "hex"
			}
			if err := s.Validate(good); err != nil {
				t.Errorf("good arguments: %v", err)
			}
			for _, bad := range []map[string]any{{"keys": []any{}}, {"pointers": []any{"x"}, "as": "hex"}, {"keys": []any{"a"}, "as": "hex", "other": 1}} {
				if s.Validate(bad) == nil {
					t.Errorf("%v is accepted", bad)
				}
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// FuzzAppend holds the redactor to three rules: JSON stays JSON, a learned value
// is gone, and a second pass finds nothing new.
func FuzzAppend(f *testing.F) {
	f.Add(`{"password":"x","b":"{\"secret\":\"y\"}"}`, "hunter22")
	f.Add(`{"a":"`+jwt+`","b":[1,{"token":{"c":"}"}}]}`, `a"b\c<d>`)
	f.Add(`{"b":"{\"b\":\"{\\\"token\\\":12}\"}"}`, "secret")
	f.Add("a text", `90",000000000000`)
	f.Fuzz(func(t *testing.T, text, secret string) {
		r := native.New()
		r.Learn(secret)
		once := r.Append(nil, []byte(text))
		if json.Valid([]byte(text)) && len(secret) < 6 && !json.Valid(once) {
			t.Errorf("%q became %q", text, once)
		}
		if len(secret) >= 12 && !strings.Contains(native.Redacted, secret) && bytes.Contains(r.Append(nil, []byte(text+secret)), []byte(secret)) && !strings.Contains(secret, "[") {
			t.Errorf("%q is still in %q", secret, once)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	line := []byte(`{"time":"2026-01-01T00:00:00Z","level":"INFO","msg":"call","op":"kv.read","token":"` + vaultToken + `","path":"` + strings.Repeat("mcp/agent/app/", 60) + `"}`)
	for name, learned := range map[string]int{"empty": 0, "full": 1000} {
		b.Run(name, func(b *testing.B) {
			r := native.New()
			for i := range learned {
				r.Learn(fmt.Sprintf("%d-value-of-a-secret", i*7919))
			}
			b.SetBytes(int64(len(line)))
			var dst []byte
			for b.Loop() {
				dst = r.Append(dst[:0], line)
			}
		})
	}
}

// TestValuesThatLookLikeRecords: a text is redacted before it becomes a part of a record,
// so a secret with quotes and colons is found as it is.
func TestValuesThatLookLikeRecords(t *testing.T) {
	for _, secret := range []string{`","op":"kv.read","n":`, `90",000000000000`, `{"user":"root","pass":1}`, `["a","b","c"]`} {
		r := native.New()
		r.Learn(secret)
		if got := string(r.Append(nil, []byte("Vault has said: "+secret+" twice"))); got != "Vault has said: [redacted] twice" {
			t.Errorf("%s: got %s", secret, got)
		}
	}
}

// TestWhoStoresASecretChangesNoOthersRecords: numbers and words that one caller has stored
// stay in texts about others, and no learned value changes what evidence says.
func TestWhoStoresASecretChangesNoOthersRecords(t *testing.T) {
	r := native.New()
	r.LearnFor("thief", "123456", "1e1000", "agent_api")
	r.Learn("Agent-7-api")
	const record = `{"subject":"agent_api","op":"kv.read","n":123456,"m":1e1000}`
	if got := string(r.AppendFor("agent", nil, []byte(record))); got != record {
		t.Errorf("log: %s", got)
	}
	if got := string(r.AppendFor("thief", nil, []byte("the code 123456 is wrong"))); got != "the code [redacted] is wrong" {
		t.Errorf("the log of who has learned it: %s", got)
	}
	const said = "Agent-7-api, 123456"
	if got := string(r.AppendEvidence(nil, []byte(said))); got != said {
		t.Errorf("evidence: %s", got)
	}
}

// TestOneCallerForgetsItsOwn: whoever reads many secrets cannot make the redactor forget
// those of others, however often and under however many names it does so.
func TestOneCallerForgetsItsOwn(t *testing.T) {
	r := native.New()
	secret := func(who string, i int) string { return fmt.Sprintf("Secret-of-%s-%06d", who, i) }
	for i := range 100 {
		r.LearnFor("victim", secret("victim", i))
	}
	for i := range 20_000 {
		r.LearnFor("flood", secret("flood", i))
	}
	for i := range 100 {
		for _, about := range []string{"victim", "flood", ""} {
			if got := string(r.AppendFor(about, nil, []byte(secret("victim", i)))); got != native.Redacted {
				t.Fatalf("the flood has pushed out value %d of somebody else", i)
			}
		}
	}
	if got := string(r.Append(nil, []byte(secret("flood", 19_999)))); got != native.Redacted {
		t.Error("the newest value of the flood is not known")
	}
	if got := string(r.Append(nil, []byte(secret("flood", 0)))); got == native.Redacted {
		t.Error("all values of the flood are known")
	}
	for i := range 10_000 {
		r.LearnFor(fmt.Sprint("many", i), secret("many", i))
	}
	if got := string(r.Append(nil, []byte(secret("victim", 0)))); got != native.Redacted {
		t.Error("many owners have pushed out the value of somebody else")
	}
}

// TestNobodyIsSilencedByAnothersSecrets: what could be words is left out of texts about
// who has read them alone; anything else is left out everywhere.
func TestNobodyIsSilencedByAnothersSecrets(t *testing.T) {
	r := native.New()
	const word, token = "connection refused", "X7-connection-refused"
	r.LearnFor("a", word, token)
	for about, want := range map[string]string{"a": "[redacted], [redacted]", "b": word + ", [redacted]", "": word + ", [redacted]"} {
		if got := string(r.AppendFor(about, nil, []byte(word+", "+token))); got != want {
			t.Errorf("about %q: got %q, want %q", about, got, want)
		}
	}
	r.LearnFor("b", word)
	if got := string(r.AppendFor("b", nil, []byte(word))); got != native.Redacted {
		t.Errorf("its own words are shown: %q", got)
	}
}
