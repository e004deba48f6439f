package bundle

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"portcullis/policies"
)

// agrees fails when the quick decoder takes a document that the library reads otherwise.
func agrees(t *testing.T, text string) (taken bool) {
	t.Helper()
	got, ok := decodePlain([]byte(text))
	if !ok {
		return false
	}
	want, err := decodeYAML(File{"data.yaml", []byte(text)})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%q\nquickly read: %#v\nby the library: %#v, %v", text, got, want, err)
	}
	return true
}

func FuzzPlain(f *testing.F) {
	for _, text := range []string{
		"a: b\n", "a:\n  - b: c\n    d: [1, true, 'x']\n", "a:\n- b\n- {c: d}\ne: f # g\n", `{"a":{"b":[1,2]},"c":"d"}`,
		"# only\na: {b: {}, \"c d\":e}\n\n", "a: b\n c: d\n", "a: 010\n", "a: yes\n", "a: b #c\nd: e#f\n", "a: 'it''s'\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { agrees(t, text) })
}

// Random documents, most of which are nearly plain, mean what the library reads.
func TestPlainDocumentsMeanWhatTheLibraryReads(t *testing.T) {
	parts := []string{
		"a", "b_1", "kv.read", "shared/x", "\"q r\"", "'s'", "true", "no", "null", "12", "007", "1.5", "1e3", "0x1", "2024-01-01", "-", "- ", "-1", "+", "*", "@a", "_", "/x", ".5", "~",
		": ", ":", ":\n", ": \n", " ", "  ", "\n", "\n  ", "\n    ", "\n- ", "\n  - ", "{", "}", "[", "]", ",", ", ", "#", " # c", "\"", "'", "\\", "<<", "&x ", "|", "é", "\t", "---\n", "...",
	}
	random := rand.New(rand.NewPCG(1, 2))
	taken := 0
	for i := range 100_000 {
		text := ""
		if i%2 == 0 {
			text = plainForm(random, 1, "")
		}
		for range 1 + random.IntN(4) {
			at := random.IntN(len(text) + 1)
			text = text[:at] + parts[random.IntN(len(parts))] + text[at:]
		}
		if agrees(t, text) {
			taken++
		}
	}
	if taken < 5000 {
		t.Errorf("only %d documents were taken", taken)
	}
}

// plainForm writes a random table in one of the forms that people and programs write.
func plainForm(random *rand.Rand, depth int, indent string) string {
	names := []string{"agent_1", "kv", "\"shared/{principal}\"", "'a b'", "ops", "shared/team1/a", "x-y", "user@example.com"}
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	scalars := []string{"kv.read", "12", "0", "true", "\"é: #\"", "false", "x # why", "''"}
	var text strings.Builder
	for _, name := range names[:1+random.IntN(4)] {
		text.WriteString(indent + name + ":")
		switch n := random.IntN(6); {
		case n == 0 && depth > 0:
			text.WriteString("\n" + plainForm(random, depth-1, indent+"  "))
		case n == 1:
			text.WriteString("\n" + indent + "- a\n" + indent + "- {b: [1, 2], c: {}}\n")
		case n == 2:
			text.WriteString(" # list\n\n" + indent + "  - a: b\n" + indent + "    c: d\n" + indent + "  -   e: f\n")
		case n == 3:
			text.WriteString(" {kv: {a/b: {ops: [kv.read, kv.list], \"fields\":['x']}}, tier: standard}\n")
		default:
			text.WriteString("  " + scalars[random.IntN(len(scalars))] + "\n")
		}
	}
	return text.String()
}

// What people and programs write is read quickly.
func TestUsualDocumentsArePlain(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		if text := plainForm(random, 3, ""); !agrees(t, text) {
			t.Fatalf("left to the library:\n%s", text)
		}
	}
	for _, text := range []string{"{\n  \"grants\": {\n    \"a\": [1, \"b\"]\n  }\n}\n", "{}", "version: 2\n"} {
		if !agrees(t, text) {
			t.Errorf("left to the library:\n%s", text)
		}
	}
	files, err := filepath.Glob("../../../policies/cookbook/*/data.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no data in the cookbook", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		agrees(t, string(text))
	}
	text, err := fs.ReadFile(policies.Files(), "data.yaml")
	if err != nil {
		t.Fatal(err)
	}
	agrees(t, string(text))
}
