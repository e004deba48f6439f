package jsonline_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portcullis/gateway/op/jsonline"
)

// TestObject: what is written is JSON that says what was given, whatever the texts are.
func TestObject(t *testing.T) {
	o := jsonline.Begin([]byte("before "))
	o.Str("text", "a\"\\\n<é")
	o.Str("bytes", "\xff")
	o.Opt("none", "")
	o.Int("int", -7)
	o.Bool("bool", true)
	o.Null("null")
	o.List("list", []string{"x", `"`})
	o.List("empty", nil)
	o.Address("ip", netip.MustParseAddr("fe80::1%\"z"))
	o.Address("plain", netip.MustParseAddr("10.0.0.1"))
	o.Open("inner")
	o.Time("at", time.Unix(1, 5).UTC())
	o.Close()
	const want = `before {"text":"a\"\\\n<é","bytes":"\"\\xff\"","int":-7,"bool":true,"null":null,"list":["x","\""],"empty":[],` +
		`"ip":"fe80::1%\"z","plain":"10.0.0.1","inner":{"at":"1970-01-01T00:00:01.000000005Z"}}`
	if got := string(o.End()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var any map[string]any
	if err := json.Unmarshal([]byte(want)[len("before "):], &any); err != nil {
		t.Error(err)
	}
}

func TestObjectAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		o := jsonline.Begin(buf)
		o.Str("text", "plain")
		o.Int("int", 1)
		buf = o.End()[:0]
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestQuote: a text is quoted as encoding for JSON quotes it, whichever way it takes.
func TestQuote(t *testing.T) {
	for c := range rune(0x300) {
		for _, text := range []string{string(c), "before " + string(c), string(c) + " after"} {
			want, err := jsontext.AppendQuote([]byte("x"), text)
			if err != nil {
				t.Fatal(err)
			}
			if got := jsonline.Quote([]byte("x"), text); string(got) != string(want) {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
}

func BenchmarkQuote(b *testing.B) {
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = jsonline.Quote(buf[:0], "01kb3sxyz0000000000000000a")
	}
}
