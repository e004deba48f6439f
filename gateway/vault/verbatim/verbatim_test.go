package verbatim_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/vault/verbatim"
)

// outer is a text with one value that is kept as it came.
type outer[V any] struct {
	ID   string `json:"id"`
	Data *struct {
		Kept V              `json:"kept"`
		Note string         `json:"note"`
		Any  map[string]any `json:"any"`
	} `json:"data"`
	Raw jsontext.Value `json:"raw"`
}

// same fails when Decode and the decoder alone disagree about a text.
func same(t *testing.T, raw []byte) {
	t.Helper()
	var want outer[jsontext.Value]
	var got outer[verbatim.Value]
	given := bytes.Clone(raw)
	wantErr, err := json.Unmarshal(raw, &want), verbatim.Decode(raw, &got)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q: got %v, want %v", raw, err, wantErr)
	}
	if !bytes.Equal(raw, given) {
		t.Fatalf("%q was changed to %q", given, raw)
	}
	if err != nil {
		return
	}
	if got.ID != want.ID || !bytes.Equal(got.Raw, want.Raw) || (got.Data == nil) != (want.Data == nil) {
		t.Fatalf("%q: got %+v, want %+v", raw, got, want)
	}
	if got.Data == nil {
		return
	}
	if kept := got.Data.Kept.Raw(); !bytes.Equal(kept, want.Data.Kept) || len(kept) > 0 && got.Data.Kept.OneLine() == bytes.ContainsAny(kept, "\r\n") {
		t.Fatalf("%q: kept %q, want %q", raw, kept, want.Data.Kept)
	}
	if got.Data.Note != want.Data.Note || !reflect.DeepEqual(got.Data.Any, want.Data.Any) {
		t.Fatalf("%q: got %+v, want %+v", raw, *got.Data, *want.Data)
	}
}

// insides are what may stand in a string, and what may not.
func insides() []string {
	return []string{
		``, `~`, `~é~`, `~\n~`, `~\"~`, `~\\`, `~\\\"~`, `~\u003c~`, `~\u00e9\uFFFF`, `~\ud83d\ude00~`, "~😀~", `~\/\b\f\n\r\t`,
		// These are refused.
		"~\x00~", "~\x1f~", "~\n", "~\xff~", "~\xc3", "~\xed\xa0\x80~", "~\xf4\x90\x80\x80~", `~\x~`, `~\u12~`, `~\u12g4~`, `~\U0031~`,
		`~\ud83d~`, `~\ude00\ud83d~`, `~\`, `~"`, `~"~`, "\x1f~", "é\x01~", "~\x80",
	}
}

// frames are what may stand around a string S, and what may not.
func frames() []string {
	return []string{
		`{"id":"1","data":{"kept":"S"}}`, `{"id":"1","data":{"kept":{"a":"S"},"note":"n"}}`, `{"data":{"kept":{"a":"S","b":["S",{"c":"S"}]}}}`,
		`{"id":"S","data":{"kept":"S"}}`, `{"data":{"note":"S","kept":1}}`, `{"data":{"any":{"S":"S"},"kept":"S"}}`, `{"raw":"S","data":{"kept":"S"}}`,
		`{"data":{"kept":{"S":1}}}`, `{"data":{"kept":{"S" : "S"}}}`, `{"data":{"kept":{"Sa":"S","Sb":"S"}}}`, " {\n\"data\" : { \"kept\" :\t[ \"S\" ,\r\"S\" ] } } ",
		`{"data":{"kept":"S","x":"S"}}`, `{"data":null,"x":["S"]}`, `{"data":{"kept":null}}`, `{"id":"1"}`, `{"data":{"kept":[]},"raw":{"a":["S"]}}`,
		// These are refused.
		`{"data":{"kept":{"S":1,"S":2}}}`, `{"data":{"kept":{"a":"S","a":"S"}}}`, `{"data":{"kept":"S"},"data":{"kept":"S"}}`, `{"data":{"kept":"S","kept":"S"}}`,
		`{"data":{"kept":"S"}} x`, `{"data":{"kept":"S"}}"S"`, `{"data":{"kept":"S"}`, `{"data":{"kept":"S" "S"}}`, `{"data":{"kept":"S":1}}`, `{"data":{"kept":S}}`,
		`"S"`, `{"S"}`, `{"id":["S"],"data":{"kept":"S"}}`, `{"data":"S"}`, `{"data":{"kept":x"S"}}`, `{"data":{"kept":["S"}}}`, `{"data":{"kept":"S"]}`, `{"data":{"kept":"S",}}`,
		`{"data":{"kept":` + strings.Repeat("[", 10_001) + `"S"` + strings.Repeat("]", 10_001) + `}}`, `{"data":{"kept":"S`, `{"data":{"kept":"S","any":{"a":tru"S"}}}`,
	}
}

// lengthen writes a long text for each ~.
func lengthen(s string) string { return strings.ReplaceAll(s, "~", strings.Repeat("long text; ", 30)) }

// TestWhatTheDecoderSays: Decode takes and refuses what the decoder alone does, and makes
// the same of it.
func TestWhatTheDecoderSays(t *testing.T) {
	for _, f := range frames() {
		for _, in := range insides() {
			same(t, []byte(lengthen(strings.ReplaceAll(f, "S", in))))
		}
	}
}

// TestEveryByte: at each place of a long string each byte is taken for what it is.
func TestEveryByte(t *testing.T) {
	const before = `{"data":{"kept":"`
	for place := range 70 {
		for c := range 256 {
			raw := []byte(before + strings.Repeat("x", 300) + `"}}`)
			raw[len(before)+place] = byte(c)
			same(t, raw)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, frame := range frames()[:30] {
		for _, in := range insides() {
			f.Add([]byte(strings.ReplaceAll(frame, "S", in)))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		same(t, raw)
		same(t, []byte(lengthen(string(raw))))
	})
}

// TestNothingIsCopied: a long value stays where it is, and an answer is made around it.
func TestNothingIsCopied(t *testing.T) {
	raw := []byte(lengthen(`{"id":"1","data":{"kept":{"a":"~"},"note":"some text behind"}}`))
	var got outer[verbatim.Value]
	if err := verbatim.Decode(raw, &got); err != nil {
		t.Fatal(err)
	}
	freed, v := 0, &got.Data.Kept
	if !v.Keep(raw, func() { freed++ }) || &v.Raw()[0] != &raw[bytes.Index(raw, []byte(`{"a"`))] {
		t.Fatal("the value is a copy")
	}
	want := `{"d":` + string(v.Raw()) + "}"
	body := append(v.Behind(`{"d":`), '}')
	if string(body) != want {
		t.Errorf("got %q, want %q", body, want)
	}
	if v.Lent([]byte(want)) != nil || v.Lent(v.Raw()) != nil || v.Lent(nil) != nil {
		t.Error("the memory of another text is lent")
	}
	free := v.Lent(body)
	if free == nil {
		t.Fatal("the memory of the answer is not lent")
	}
	if free(); freed != 1 {
		t.Errorf("freed %d times", freed)
	}
	if again := append(v.Behind(`{"d":`), strings.Repeat("y", 500)...); &again[0] == &body[0] {
		t.Error("what does not fit was written behind the text")
	}
}

// TestACopyHasRoom: a value that was decoded alone is a copy, with room around it.
func TestACopyHasRoom(t *testing.T) {
	raw := []byte(`{"data":{"kept":[1]}}`)
	var got outer[verbatim.Value]
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	v := &got.Data.Kept
	if v.Keep(raw, func() {}) {
		t.Error("the memory of the text is kept for a copy")
	}
	if b := append(v.Behind(`{"d":`), '}'); string(b) != `{"d":[1]}` || v.Lent(b) != nil {
		t.Errorf("got %q", b)
	}
	if b := v.Behind(strings.Repeat("x", 100)); b != nil {
		t.Errorf("there is no room for so much, got %q", b)
	}
	var none verbatim.Value
	if none.Raw() != nil || none.Behind("x") != nil || none.Holds(nil) || none.Keep(raw, nil) || none.Lent(raw) != nil {
		t.Error("the zero Value is not none")
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, s := range map[string]string{
		"one string": `"a":"` + strings.Repeat("x", 900<<10) + `"`,
		"lines":      `"a":"` + strings.Repeat(strings.Repeat("x", 64)+`\n`, 13<<10) + `"`,
		"quotes":     `"a":"` + strings.Repeat(`{\"k\":\"v\"},`, 70<<10) + `"`,
		"1 KiB":      fields(900, 1<<10),
		"100 bytes":  fields(9000, 100),
		"20 bytes":   fields(30000, 20),
	} {
		raw := []byte(`{"id":"1","data":{"kept":{` + s + `}}}`)
		b.Run(name+"/decoder", func(b *testing.B) {
			decode[jsontext.Value](b, raw, func(r []byte, v any) error { return json.Unmarshal(r, v) })
		})
		b.Run(name+"/verbatim", func(b *testing.B) { decode[verbatim.Value](b, raw, verbatim.Decode) })
	}
}

func decode[V any](b *testing.B, raw []byte, into func([]byte, any) error) {
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		var o outer[V]
		if err := into(raw, &o); err != nil {
			b.Fatal(err)
		}
	}
}

func fields(n, size int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = `"` + strings.Repeat("k", i%7) + strings.Repeat("n", i/7%90) + string(rune('a'+i/630%26)) + string(rune('a'+i/16380)) + `":"` + strings.Repeat("x", size) + `"`
	}
	return strings.Join(all, ",")
}
