package transform_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/VictoriaMetrics/metrics"

	"portcullis/gateway/transform"
	"portcullis/gateway/transform/abuse"
)

// spoken is a module with a manifest that lets it log and count, and what it has said.
type recorded struct {
	t   *testing.T
	set *transform.Set
	log bytes.Buffer
	now time.Time
}

const allowed = ", hooks: [response, request], apply: mandatory, logs: true, counters: [things, empty]"

// speaker has a module of a name, as metrics are of the process.
func speaker(t *testing.T, name string, bin []byte) *recorded {
	t.Helper()
	d, s := newDir(t), &recorded{t: t, now: time.Unix(1_700_000_000, 0)}
	d.write(d.put("m.wasm", bin) + ", name: " + name + allowed)
	s.set = d.open(transform.Options{
		Log: slog.New(slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: func() time.Time { return s.now },
	})
	s.log.Reset()
	return s
}

// call gives the module a document, and returns the lines that it logged.
func (s *recorded) call(payload string) (out []line, err error) {
	s.t.Helper()
	g := s.set.Pin()
	defer g.Release()
	p, err := g.Plan(response(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.log.Reset()
	_, _, err = p.Apply([]byte(payload))
	for raw := range strings.Lines(s.log.String()) {
		var l line
		if jerr := json.Unmarshal([]byte(raw), &l); jerr != nil {
			s.t.Fatalf("%v: %s", jerr, raw)
		}
		out = append(out, l)
	}
	return out, err
}

type line struct{ Level, Msg, Module, Hook, Text string }

// value is what a counter of the process stands at.
func value(t *testing.T, series string) string {
	t.Helper()
	var b bytes.Buffer
	metrics.WritePrometheus(&b, false)
	for l := range strings.Lines(b.String()) {
		if rest, ok := strings.CutPrefix(l, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// The module of wasm/tally, compiled from C, logs and counts.
func TestModulesLogAndCount(t *testing.T) {
	bin, err := os.ReadFile("../../wasm/tally/tally.wasm")
	if err != nil {
		t.Fatal(err)
	}
	s := speaker(t, "tally", bin)
	if said, err := s.call(`{"a":"","b":"","c":"x"}`); err != nil || len(said) != 0 {
		t.Errorf("said %+v, %v", said, err)
	}
	said, err := s.call(`{"a":"","b":"","c":"","d":"","e":""}`)
	want := line{"WARN", "a transform module logged a line", "tally", "response", "more than four members are empty"}
	if err != nil || len(said) != 1 || said[0] != want {
		t.Errorf("said %+v, %v", said, err)
	}
	if got := value(t, `portcullis_transform_counted_total{module="tally",counter="empty"}`); got != "7" {
		t.Errorf("counted %q", got)
	}
	if got := value(t, `portcullis_transform_lines_total{module="tally",result="logged"}`); got != "1" {
		t.Errorf("%q lines logged", got)
	}
}

func TestLevelsOfLines(t *testing.T) {
	for level, want := range map[int32]string{0: "DEBUG", 1: "INFO", 2: "WARN", 3: "ERROR", 4: "INFO", -1: "INFO"} {
		s := speaker(t, "levels", abuse.Logs(level, "hello"))
		if said, err := s.call(`{}`); err != nil || len(said) != 1 || said[0].Level != want {
			t.Errorf("level %d: %+v, %v", level, said, err)
		}
	}
}

// A module that logs without end says four lines, and its call fails for want of fuel.
func TestAModuleThatLogsWithoutEnd(t *testing.T) {
	s := speaker(t, "endless", abuse.LogsForever("again"))
	said, err := s.call(`{"a":1}`)
	if err == nil || !strings.Contains(err.Error(), "fuel") || len(said) != 4 {
		t.Errorf("said %+v, %v", said, err)
	}
	if lost := value(t, `portcullis_transform_lines_total{module="endless",result="lost"}`); len(lost) < 3 {
		t.Errorf("%q lines lost", lost)
	}
}

// What a module logs is bounded over all calls.
func TestLinesOfAMinute(t *testing.T) {
	s := speaker(t, "minute", abuse.Logs(1, "hello"))
	logged := func(n int) (lines int) {
		for range n {
			said, err := s.call(`{}`)
			if err != nil {
				t.Fatal(err)
			}
			lines += len(said)
		}
		return lines
	}
	if n := logged(100); n != 60 {
		t.Errorf("%d lines in a minute", n)
	}
	s.now = s.now.Add(time.Minute)
	if n := logged(100); n != 60 {
		t.Errorf("%d lines in the next", n)
	}
}

// However long a line is, and whatever is in it, it is one short line of text.
func TestLinesAreShortAndPrintable(t *testing.T) {
	for name, text := range map[string]string{
		"long":            strings.Repeat("x", 5000),
		"a second record": "a\n{\"level\":\"ERROR\",\"msg\":\"forged\"}",
		"controls":        "a\x00\x1b[2Jb\r\u2028c\u202ed\x7f\u0085",
		"no UTF-8":        "a\xff\xfe\xc3",
		"bidi":            "\u2066\u2069\u200f\ufeff",
	} {
		s := speaker(t, "printable", abuse.Logs(1, text))
		said, err := s.call(`{}`)
		if err != nil || len(said) != 1 || len(said[0].Text) > 3*256 {
			t.Fatalf("%s: %d lines, %v", name, len(said), err)
		}
		for _, r := range said[0].Text {
			if !unicode.IsPrint(r) && r != unicode.ReplacementChar {
				t.Errorf("%s: %q has %q", name, said[0].Text, r)
			}
		}
	}
	s := speaker(t, "everything", abuse.LogsAll())
	if said, err := s.call(`{"a":1}`); err != nil || len(said) != 1 || len(said[0].Text) > 3*256 {
		t.Errorf("%+v, %v", said, err)
	}
}

// Nothing of its document reaches a log through a module, in whatever piece it is said.
func TestWhatAModuleWasGivenIsNotLogged(t *testing.T) {
	doc := `{"data":{"owner":"pq7-WX","pin":1234,"text":"line one\nlîne two of the text","k":"\u0041\u0042CDEFG-zz"},"AKIAKEYNAME":"y"}`
	in := 4 + len(`{"op":"kv.read","mount":"secret"}`)
	secrets := []string{"pq7-WX", "1234", "line one", "two of the text", "ABCDEFG", "AKIAKEY", "DEFG-z", "akiakey"}
	check := func(name, text string) {
		t.Helper()
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %q has %q", name, text, secret)
			}
		}
	}
	for offset := range len(doc) {
		n := min(len(doc)-offset, 1+offset%60)
		s := speaker(t, "leak", abuse.LogsInput(int32(in+offset), int32(n)))
		said, err := s.call(doc)
		if err != nil || len(said) != 1 {
			t.Fatalf("%+v, %v", said, err)
		}
		check(fmt.Sprintf("%d bytes from %d", n, offset), said[0].Text)
	}
	for _, text := range append(secrets, "the pin is 1234, of pq7-WX", "PQ7-wx", "x1234x", "abcdefg", "pin=1234", "1234 1234") {
		s := speaker(t, "leak", abuse.Logs(1, text))
		said, err := s.call(doc)
		if err != nil || len(said) != 1 || !strings.Contains(said[0].Text, "[redacted]") {
			t.Errorf("%q: %+v, %v", text, said, err)
			continue
		}
		check(text, said[0].Text)
	}
	s := speaker(t, "leak", abuse.LogsBytes())
	said, err := s.call(doc)
	if err != nil || len(said) != 4 {
		t.Errorf("byte by byte: %+v, %v", said, err)
	}
}

// The gateway's redactor has its say about lines as about any other.
func TestLinesAreRedacted(t *testing.T) {
	s := speaker(t, "redacted", abuse.Logs(1, "Authorization: Bearer abcdefghijkl"))
	if said, err := s.call(`{}`); err != nil || len(said) != 1 || strings.Contains(said[0].Text, "abcdefghijkl") {
		t.Errorf("%+v, %v", said, err)
	}
}

// To hide a document of the longest allowed length from a line is linear in it, also where
// every piece of one is in the other.
func TestHidingIsLinear(t *testing.T) {
	s := speaker(t, "linear", abuse.Logs(1, strings.Repeat("a", 256)))
	said, err := s.call(`{"a":"` + strings.Repeat("a", 1<<20-100) + `"}`)
	if err != nil || len(said) != 1 || said[0].Text != "[redacted]" {
		t.Errorf("%+v, %v", said, err)
	}
}

func TestSpeakingOfWhatIsOutsideOfTheMemory(t *testing.T) {
	s := speaker(t, "outside", abuse.LogsOutside())
	if said, err := s.call(`{}`); err == nil || len(said) != 0 {
		t.Errorf("%+v, %v", said, err)
	}
}

// A counter goes up by no more than a document has bytes, and there are no others than
// those of the manifest.
func TestCountersAreThoseOfTheManifest(t *testing.T) {
	for _, n := range []int32{2, -1} {
		s := speaker(t, "counts", abuse.Counts("things", n))
		if _, err := s.call(`{"a":1234}`); err != nil {
			t.Fatal(err)
		}
	}
	if got := value(t, `portcullis_transform_counted_total{module="counts",counter="things"}`); got != "12" {
		t.Errorf("counted %q", got)
	}
	s := speaker(t, "counts", abuse.Counts(`x"} 1`, 1))
	if _, err := s.call(`{"a":1234}`); err != nil {
		t.Fatal(err)
	}
	if got := value(t, `portcullis_transform_lines_total{module="counts",result="lost"}`); got != "1" {
		t.Errorf("%q lost", got)
	}
}

// A module says nothing that its manifest does not let it say.
func TestModulesThatMayNotSpeak(t *testing.T) {
	for more, want := range map[string]string{
		", hooks: [response], counters: [things]":                            "logs: true",
		", hooks: [response], logs: true":                                    "no counters",
		", hooks: [log], logs: true, counters: [a]":                          "for its own lines",
		", hooks: [response], logs: true, counters: [A]":                     `"A"`,
		", hooks: [response], logs: true, counters: [a, a]":                  `"a"`,
		", hooks: [response], logs: true, counters: ['']":                    `""`,
		", hooks: [response], counters: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]": "at most 16",
	} {
		d := newDir(t)
		d.write(d.put("m.wasm", abuse.Logs(1, "hello")) + ", name: m" + more)
		s, err := transform.Open(t.Context(), d.manifest(), transform.Options{})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", more, err)
		}
	}
}

// The test vectors of a module say nothing: they are not calls.
func TestVectorsSayNothing(t *testing.T) {
	d, log := newDir(t), bytes.Buffer{}
	if err := os.WriteFile(d.path+"/t.json", []byte(`[{"name":"x","input":{}}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	d.write(d.put("m.wasm", abuse.Logs(1, "hello")) + ", name: vectors, tests: t.json" + allowed)
	d.open(transform.Options{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	if strings.Contains(log.String(), "hello") {
		t.Error(log.String())
	}
}
