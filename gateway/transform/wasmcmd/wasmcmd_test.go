package wasmcmd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/gateway/transform"
	"portcullis/gateway/transform/abuse"
	"portcullis/gateway/transform/wasmcmd"
	"portcullis/wasm"
)

func ExampleInspect() {
	var out bytes.Buffer
	err := wasmcmd.Inspect(context.Background(), &out, "../../../wasm/mask/mask.wasm")
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "exports") || strings.HasPrefix(line, "verdict") {
			fmt.Print(line)
		}
	}
	fmt.Println(err)
	// Output:
	// exports   memory abi alloc init transform
	// verdict   can be loaded
	// <nil>
}

func file(t *testing.T, bin []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.wasm")
	if err := os.WriteFile(path, bin, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestInspectRefusesWhatCannotLoad(t *testing.T) {
	// These are found only by running the module or by the validator.
	late := map[string]bool{"abi of another major": true, "abi spins": true, "init spins": true}
	for _, m := range abuse.Modules() {
		t.Run(m.Name, func(t *testing.T) {
			var out bytes.Buffer
			err := wasmcmd.Inspect(t.Context(), &out, file(t, m.Bin))
			if want := m.Stage == abuse.Load && !late[m.Name]; want != (err != nil) {
				t.Errorf("got %v\n%s", err, out.String())
			}
		})
	}
}

// TestInspectEscapesNames: what a module calls its exports and sections must not
// reach the terminal as it is.
func TestInspectEscapesNames(t *testing.T) {
	g := abuse.Guest{Memory: []byte{0, 1}, Funcs: []abuse.Func{{Export: "\x1b[31m\nred"}}}
	bin := append(g.Assemble(), 0, 5, 4, 0x1b, '[', '1', 'm')
	var out bytes.Buffer
	_ = wasmcmd.Inspect(t.Context(), &out, file(t, bin)) // refused, for its exports
	if s := out.String(); strings.Contains(s, "\x1b") || !strings.Contains(s, `\x1b[31m\nred`) {
		t.Errorf("got %q", s)
	}
}

func TestRun(t *testing.T) {
	redact := "../../../wasm/redact/redact.wasm"
	tests := []struct{ name, file, hook, in, want string }{
		{"log", redact, "log", `{"password":"x"}` + "\n", `{"password":"[redacted]"}` + "\n"},
		{"unchanged", redact, "log", "plain text", "plain text"},
		{"response", "../../../wasm/mask/mask.wasm", "response", `{"a":[1,{"b":"x"}]}`, `{"a":["[masked]",{"b":"[masked]"}]}`},
		{"echo", file(t, abuse.Echo()), "request", "anything\n at all", "anything\n at all"},
		{"empty input", file(t, abuse.Echo()), "request", "", ""},
		{"unknown hook", redact, "reply", "", "ERROR"},
		{"no such file", "none.wasm", "log", "", "ERROR"},
		{"input too long", redact, "log", strings.Repeat("x", 70000), "ERROR"},
		{"refused by the module", "../../../wasm/encode/encode.wasm", "response", `{}`, "ERROR"},
	}
	for _, m := range abuse.Modules() {
		if m.Stage != abuse.Harmless && !strings.HasPrefix(m.Name, "output of length zero") {
			tests = append(tests, struct{ name, file, hook, in, want string }{m.Name, file(t, m.Bin), "response", `{"a":1}`, "ERROR"})
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := wasmcmd.Trial{File: tt.file, Hook: tt.hook, Log: io.Discard}.Run(t.Context(), strings.NewReader(tt.in), &out)
			if tt.want == "ERROR" {
				if err == nil || strings.Contains(err.Error(), "\n") || out.Len() > 0 {
					t.Errorf("got %q, %v", out.String(), err)
				}
				return
			}
			if err != nil || out.String() != tt.want {
				t.Errorf("got %q, %v", out.String(), err)
			}
		})
	}
}

// What a module logs is shown as the gateway logs it: bounded, on one line, and without
// what is in the document.
func TestRunShowsWhatModulesLog(t *testing.T) {
	for name, tt := range map[string]struct {
		bin  []byte
		want string
	}{
		"a line":                  {abuse.Logs(1, "found a thing"), "INFO: found a thing\n"},
		"of the document":         {abuse.Logs(3, "it holds hunter2-hunter2"), "ERROR: it holds [redacted]\n"},
		"lines in a line":         {abuse.Logs(2, "a\nb\x1b[31m"), "WARN: a\ufffdb\ufffd[31m\n"},
		"a count":                 {abuse.Counts("things", 2), "counted: things 2\n"},
		"under an unlisted name":  {abuse.Counts("others", 2), "counted: things 0\ndropped: 1 lines beyond four, or counts under a name that --counters does not list\n"},
		"a token that it made up": {abuse.Logs(0, "Authorization: Bearer abcdefghijkl"), "DEBUG: Authorization: Bearer [redacted]\n"},
	} {
		var out, log bytes.Buffer
		trial := wasmcmd.Trial{File: file(t, tt.bin), Hook: "response", Counters: []string{"things"}, Log: &log}
		if err := trial.Run(t.Context(), strings.NewReader(`{"pin":"hunter2-hunter2"}`), &out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Replace(log.String(), "counted: things 0\n", "", 1); got != strings.Replace(tt.want, "counted: things 0\n", "", 1) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// project makes a project with the module in place.
func project(t *testing.T, lang string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "my-mask")
	var out bytes.Buffer
	if err := wasmcmd.New(&out, lang, dir); err != nil || !strings.Contains(out.String(), "wasm pin") {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if lang == "rust" {
		bin, err := fs.ReadFile(wasm.Modules, "sdk/rust/module.wasm")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "module.wasm"), bin, 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	if text, err := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, "build.sh")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return dir
}

func TestNewProjectFromStartToEnd(t *testing.T) {
	for _, lang := range []string{"rust", "go"} {
		t.Run(lang, func(t *testing.T) {
			dir := project(t, lang)
			manifest := filepath.Join(dir, "manifest.yaml")
			var out bytes.Buffer
			if err := wasmcmd.Test(t.Context(), &out, manifest, transform.Known{}); err != nil {
				t.Fatalf("test: %v\n%s", err, out.String())
			}
			q := wasmcmd.Query{Manifest: manifest, Op: "kv.read"}
			if err := wasmcmd.Plan(t.Context(), &out, q); err == nil {
				t.Fatal("a manifest without a digest was loaded")
			}
			if err := wasmcmd.Pin(&out, manifest); err != nil {
				t.Fatalf("pin: %v", err)
			}
			if err := wasmcmd.Plan(t.Context(), &out, q); err != nil || !strings.Contains(out.String(), "1  my-mask@sha256:") {
				t.Fatalf("plan: %v\n%s", err, out.String())
			}
			out.Reset()
			in := strings.NewReader(`{"data":{"password":"x"}}`)
			var log bytes.Buffer
			trial := wasmcmd.Trial{File: filepath.Join(dir, "module.wasm"), Hook: "response", Counters: []string{"masked"}, Log: &log}
			if err := trial.Run(t.Context(), in, &out); err != nil || out.String() != `{"data":{"password":"[masked]"}}` {
				t.Errorf("run: %q, %v", out.String(), err)
			}
			if err := trial.Run(t.Context(), strings.NewReader(`[1]`), &out); err == nil {
				t.Error("a list is taken for a result")
			}
			if want := "counted: masked 1\nWARN: the result is no object\ncounted: masked 0\n"; log.String() != want {
				t.Errorf("it logged and counted %q, want %q", log.String(), want)
			}
			if err := wasmcmd.New(&out, lang, dir); err == nil {
				t.Error("a project was written over another")
			}
		})
	}
}

func TestPinKeepsTheRest(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "manifest.yaml")
	text := "# first\napiVersion: portcullis.wasm/v1\nmodules:\n  - name: a # one\n    file: a.wasm\n    sha256: ''   # old\n    abi: 1\n    hooks: [log]\n" +
		"  - {name: b, file: a.wasm, sha256: 0000, abi: 1, hooks: [log]}\n"
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.wasm"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := wasmcmd.Pin(&bytes.Buffer{}, path); err != nil {
		t.Fatal(err)
	}
	const digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
	got, _ := os.ReadFile(path)
	want := strings.Replace(strings.Replace(text, "''", digest, 1), "0000", digest, 1)
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
}

func TestShippedModulesStandTheTests(t *testing.T) {
	for _, path := range []string{"../../../wasm/manifest.yaml", "../../../wasm", "../../../wasm/pii/pii.wasm", "../../../wasm/example/example.wasm"} {
		var out bytes.Buffer
		if err := wasmcmd.Test(t.Context(), &out, path, transform.Known{}); err != nil {
			t.Errorf("%s: %v\n%s", path, err, out.String())
		}
	}
	var out bytes.Buffer
	if err := wasmcmd.Test(t.Context(), &out, file(t, abuse.Answer(1024, 1<<33|8)), transform.Known{}); err == nil {
		t.Errorf("a module with a broken answer stands the tests:\n%s", out.String())
	}
}

func TestNewRefuses(t *testing.T) {
	for name, args := range map[string][2]string{
		"language": {"cobol", filepath.Join(t.TempDir(), "a")}, "name": {"go", filepath.Join(t.TempDir(), "A B")},
		"no parent": {"go", filepath.Join(t.TempDir(), "none", "a")},
	} {
		t.Run(name, func(t *testing.T) {
			if err := wasmcmd.New(&bytes.Buffer{}, args[0], args[1]); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestBench(t *testing.T) {
	var out bytes.Buffer
	if err := wasmcmd.Bench(t.Context(), &out, "../../../wasm/redact/redact.wasm", 1024); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "FUEL/BYTE") || !strings.Contains(out.String(), "\n1024 ") {
		t.Errorf("got\n%s", out.String())
	}
	t.Log(out.String())
}
