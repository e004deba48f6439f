package wasm_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand"
	"strings"
	"testing"

	"portcullis/gateway/transform/guest"
	"portcullis/wasm"
)

// What the shipped modules may spend. The first is for any document of the size,
// the second for usual ones, the third for a small one.
const (
	documentSize = 30_000
	fuelAny      = 2_600_000
	fuelUsual    = 1_800_000
	fuelSmall    = 12_000
)

// usual are documents such as people store, in pieces that are repeated.
func usual() map[string]string {
	random := make([]byte, 3*documentSize/4)
	rand.New(rand.NewSource(1)).Read(random)
	binary := base64.StdEncoding.EncodeToString(random)
	line := binary[:64] + `\n`
	return map[string]string{
		"text":      `{"password":"` + repeat("x", "") + `"}`,
		"base64":    `{"password":"` + binary[:documentSize] + `"}`,
		"prose":     `{"password":"` + repeat("Hello World and 12 apples, GB12 ABCDE. ", "") + `"}`,
		"unicode":   `{"password":"` + repeat("Grüße aus Zürich, 😀 ", "") + `"}`,
		"pem":       `{"data":{"key":"-----BEGIN PRIVATE KEY-----\n` + repeat(line, "") + `-----END PRIVATE KEY-----\n"}}`,
		"members":   `{"data":{` + repeat(`"DATABASE_URL":"postgres://db.example.org/app"`, ",") + `}}`,
		"secrets":   `{"items":[` + repeat(`{"kind":"Secret","metadata":{"name":"app"},"data":{"password":"aHVudGVyMg=="}}`, ",") + `]}`,
		"indented":  "{\n" + repeat("  \"name\": {\n    \"user\": \"bob\",\n    \"port\": 5432\n  }", ",\n") + "\n}",
		"long key":  `{"` + repeat("a long key ", "") + `":1}`,
		"tokens":    `{"password":"` + repeat("aaaaaaaaaaaaaaa@", "") + `"}`,
		"line ends": `{"password":"` + repeat(`key=value of something\r\n`, "") + `"}`,
	}
}

// hostile are documents that give the modules as much to do as possible.
func hostile() map[string]string {
	nested := strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50)
	return map[string]string{
		"at signs":   `{"password":"` + repeat("@", "") + `"}`,
		"addresses":  `{"password":"` + repeat("joe@example.com ", "") + `"}`,
		"words":      `{"password":"` + repeat("aaaaaaa@", "") + `"}`,
		"plus signs": `{"password":"` + repeat("+", "") + `"}`,
		"digits":     `{"password":"` + repeat("1234567890 ", "") + `"}`,
		"digit":      `{"password":"` + repeat("1 ", "") + `"}`,
		"ibans":      `{"password":"` + repeat("GB12345678901234567890123456789012 ", "") + `"}`,
		"telephones": `{"password":"` + repeat("+1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 ", "") + `"}`,
		"quotations": `{"password":"` + repeat(`{\"name\":\"value\",\"number\":12}`, "") + `"}`,
		"escapes":    `{"password":"` + repeat(`\n`, "") + `"}`,
		"numbers":    "[" + repeat("1234567890123456", ",") + "]",
		"bits":       "[" + repeat("1", ",") + "]",
		"empty":      "[" + repeat("{}", ",") + "]",
		"arrays":     "[" + repeat("[1]", ",") + "]",
		"nested":     "[" + repeat(nested, ",") + "]",
		"spaces":     "[" + repeat(" ", "") + "1]",
	}
}

// repeat makes about as much text as a document has.
func repeat(s, between string) string {
	n := documentSize / (len(s) + len(between))
	return strings.TrimSuffix(strings.Repeat(s+between, n), between)
}

// TestFuel bounds what each module spends on a document of 30 KB. Fuel is the same
// on every machine.
func TestFuel(t *testing.T) {
	for _, m := range []struct{ name, args string }{
		{"redact", `{}`},
		{"mask", `{"keys":["password","*token*","key1*"],"pointers":["/a/b","/key5","/items/*/pin"]}`},
		{"pii", `{}`},
		{"encode", `{"as":"base64","keys":["password","*_url"]}`},
		{"encode", `{"as":"hex","pointers":["/password","/data/key"]}`},
		{"encode", `{"as":"pem","pointers":["/password","/data/key"]}`},
	} {
		t.Run(m.name+m.args, func(t *testing.T) {
			module := load(t, m.name)
			for name, doc := range usual() {
				spends(t, module, m.args, name, doc, fuelUsual)
			}
			for name, doc := range hostile() {
				spends(t, module, m.args, name, doc, fuelAny)
			}
			spends(t, module, m.args, "small", `{"a":1}`, fuelSmall)
		})
	}
}

// TestFuelOfWholeDocuments is TestFuel for the forms that turn an object into text.
func TestFuelOfWholeDocuments(t *testing.T) {
	module := load(t, "encode")
	for _, as := range []string{"env", "kubernetes"} {
		args := fmt.Sprintf(`{"as":%q}`, as)
		for name, doc := range usual() {
			if doc[0] == '{' {
				spends(t, module, args, as+" of "+name, doc, fuelAny)
			}
		}
	}
}

func load(t *testing.T, name string) *guest.Module {
	t.Helper()
	bin, err := fs.ReadFile(wasm.Modules, name+"/"+name+".wasm")
	if err != nil {
		t.Fatal(err)
	}
	e, err := guest.NewEngine(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	m, err := e.Load(bin, guest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func spends(t *testing.T, m *guest.Module, args, name, doc string, limit int64) {
	t.Helper()
	if !json.Valid([]byte(doc)) {
		t.Fatalf("%s is not JSON", name)
	}
	in := guest.In{Hook: guest.Response, Meta: []byte(`{"args":` + args + `}`), Payload: []byte(doc), Fuel: 1 << 40, Limit: 1 << 20}
	_, o, err := m.Append(nil, in)
	if err != nil || o.Fuel > limit {
		t.Errorf("%s of %d bytes: %d units of fuel, %v, want at most %d", name, len(doc), o.Fuel, err, limit)
	}
	t.Logf("%s: %d units, %.1f a byte", name, o.Fuel, float64(o.Fuel)/float64(len(doc)))
}
