package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"portcullis/gateway/e2e"
)

// TestAssertions: each comparison holds and fails as a reader expects.
func TestAssertions(t *testing.T) {
	var doc any
	raw := `{"a":1,"s":"one two","l":["x",{"k":true}],"o":{"b.c":null},"e":[],"n":"7"}`
	if err := json.Unmarshal([]byte(raw), &doc); err != nil {
		t.Fatal(err)
	}
	for assertion, want := range map[[2]string]bool{
		{".a", "== 1"}: true, {".a", "== 2"}: false, {".a", "!= 2"}: true, {".a", "!= 1"}: false,
		{".a", "> 0"}: true, {".a", "> 1"}: false, {".a", "< 1"}: false, {".a", "< 1.5"}: true, {".s", "> 1"}: false,
		{".s", "== one two"}: true, {".s", `== "one two"`}: true, {".s", "~ ^one"}: true, {".s", "~ ^two"}: false,
		{".s", "!~ ^two"}: true, {".s", "!~ ^one"}: false, {".s", "~ ("}: false, {".s", "contains e t"}: true, {".s", "contains three"}: false,
		{".n", "== 7"}: true, {".l", "contains x"}: true, {".l", "contains y"}: false, {".l", `contains {"k":true}`}: true,
		{".l[0]", "== x"}: true, {".l[-1].k", "== true"}: true, {".l[2]", "missing"}: true, {".l[2]", "exists"}: false,
		{`.o["b.c"]`, "exists"}: true, {".e", "== []"}: true, {".no.such", "missing"}: true, {".no", "== 1"}: false,
		{".no", "!= 1"}: false, {".a", "is 1"}: false, {"a", "exists"}: false, {".", "exists"}: true,
	} {
		got, there := e2e.Lookup(doc, assertion[0])
		if err := e2e.Check(got, there, assertion[1]); (err == nil) != want {
			t.Errorf("%s %s: got %v, want it to hold: %v", assertion[0], assertion[1], err, want)
		}
	}
}

func TestBadScripts(t *testing.T) {
	for name, text := range map[string]string{
		"unknown step":     "frobnicate",
		"unknown method":   "FETCH /x",
		"late environment": "GET /x\nenv A=b",
		"lost header":      "with A: b",
		"lost body":        "GET /x\nstatus == 200\n{}",
	} {
		file := filepath.Join(t.TempDir(), "script.txt")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := e2e.ReadScript(file); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func ExampleReadScript() {
	s, err := e2e.ReadScript("testdata/crash.txt")
	fmt.Println(s.Key, err)
	// Output: dev-api-key <nil>
}
