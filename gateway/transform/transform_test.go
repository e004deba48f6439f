package transform_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/gateway/transform"
	"portcullis/gateway/transform/abuse"
	"portcullis/gateway/transform/guest"
)

// dir is a directory with a manifest that a test changes.
type dir struct {
	t    testing.TB
	path string
}

func newDir(t testing.TB) *dir { return &dir{t, t.TempDir()} }

func (d *dir) manifest() string { return filepath.Join(d.path, "manifest.yaml") }

// put writes a module and returns the two lines of the manifest that pin it.
func (d *dir) put(file string, bin []byte) string {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.path, file), bin, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return fmt.Sprintf("{abi: 1, file: %s, sha256: %s", file, digest(bin))
}

func digest(bin []byte) string {
	sum := sha256.Sum256(bin)
	return hex.EncodeToString(sum[:])
}

// write writes the manifest with the given modules, in flow style.
func (d *dir) write(modules ...string) {
	d.t.Helper()
	text := "apiVersion: portcullis.wasm/v1\nmodules:\n"
	for _, m := range modules {
		text += "- " + m + "}\n"
	}
	if err := os.WriteFile(d.manifest(), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *dir) open(o transform.Options) *transform.Set {
	d.t.Helper()
	s, err := transform.Open(d.t.Context(), d.manifest(), o)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(s.Close)
	return s
}

func response() transform.Call {
	return transform.Call{Hook: guest.Response, Op: "kv.read", Mount: "secret", Subject: "agent"}
}

func Example() {
	set, err := transform.Open(context.Background(), "", transform.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer set.Close()
	g := set.Pin()
	defer g.Release()
	call := transform.Call{Hook: guest.Response, Op: "kv.read", Mount: "secret", Subject: "agent"}
	plan, err := g.Plan(call, []transform.Obligation{{Name: "mask", Args: json.RawMessage(`{"pointers":["/data/pin"]}`)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, steps, err := plan.Apply([]byte(`{"data":{"pin":1234,"user":"bob"}}`))
	fmt.Println(string(out), steps[0].Name, steps[0].Digest, steps[0].Result, err)
	// Output: {"data":{"pin":"[masked]","user":"bob"}} mask native changed <nil>
}

func TestPlanOrder(t *testing.T) {
	d := newDir(t)
	echo := d.put("echo.wasm", abuse.Echo())
	d.write(
		echo+", name: c, hooks: [response], phase: encode",
		echo+", name: b, hooks: [response], phase: mask, priority: 2",
		echo+", name: z, hooks: [response], phase: mask, priority: 1, apply: mandatory",
		echo+", name: a, hooks: [response], phase: mask, priority: 2",
		echo+", name: other, hooks: [response], apply: mandatory, select: {operations: ['db.*']}",
	)
	g := d.open(transform.Options{}).Pin()
	defer g.Release()
	p, err := g.Plan(response(), []transform.Obligation{{Name: "c"}, {Name: "b"}, {Name: "a"}, {Name: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range p.Steps() {
		got = append(got, s.Name)
	}
	if s := strings.Join(got, " "); s != "z a b c" {
		t.Errorf("got %s, want z a b c", s)
	}
	out, steps, err := p.Apply([]byte(`{"a":1}`))
	if err != nil || string(out) != `{"a":1}` || len(steps) != 4 || steps[0].Fuel == 0 {
		t.Errorf("got %s, %+v, %v", out, steps, err)
	}
}

func TestPlanDenies(t *testing.T) {
	d := newDir(t)
	echo := d.put("echo.wasm", abuse.Echo())
	d.write(
		echo+", name: echo, hooks: [response], select: {mounts: [secret]}",
		echo+", name: line, hooks: [log]",
		echo+", name: args, hooks: [response], args: {type: object, properties: {n: {type: integer}}, additionalProperties: false}",
	)
	g := d.open(transform.Options{}).Pin()
	defer g.Release()
	tests := []struct {
		name string
		call transform.Call
		o    transform.Obligation
		want error
	}{
		{"unknown", response(), transform.Obligation{Name: "none"}, transform.ErrUnknown},
		{"wrong hook", response(), transform.Obligation{Name: "line"}, transform.ErrHook},
		{"wrong mount", transform.Call{Hook: guest.Response, Mount: "other"}, transform.Obligation{Name: "echo"}, transform.ErrSelect},
		{"no arguments expected", response(), transform.Obligation{Name: "echo", Args: json.RawMessage(`{"a":1}`)}, transform.ErrArgs},
		{"not an object", response(), transform.Obligation{Name: "args", Args: json.RawMessage(`[]`)}, transform.ErrArgs},
		{"null", response(), transform.Obligation{Name: "args", Args: json.RawMessage(`null`)}, transform.ErrArgs},
		{"against the schema", response(), transform.Obligation{Name: "args", Args: json.RawMessage(`{"n":"x"}`)}, transform.ErrArgs},
		{"too long", response(), transform.Obligation{Name: "args", Args: json.RawMessage(`{"n":` + strings.Repeat("1", 5000) + `}`)}, transform.ErrArgs},
		{"in order", response(), transform.Obligation{Name: "args", Args: json.RawMessage(`{"n":1}`)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := g.Plan(tt.call, []transform.Obligation{tt.o}); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	many := make([]transform.Obligation, 9)
	for i := range many {
		many[i] = transform.Obligation{Name: "args", Args: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}
	}
	if _, err := g.Plan(response(), many); !errors.Is(err, transform.ErrTooMany) {
		t.Errorf("nine steps: got %v", err)
	}
}

func TestManifestRefuses(t *testing.T) {
	d := newDir(t)
	echo := d.put("echo.wasm", abuse.Echo())
	pinned := echo + ", name: echo, hooks: [response]"
	tests := []struct{ name, module, want string }{
		{"unknown field", pinned + ", color: red", "color"},
		{"no digest", "{abi: 1, name: echo, file: echo.wasm, hooks: [response]", "sha256"},
		{"another digest", "{abi: 1, name: echo, file: echo.wasm, hooks: [response], sha256: " + digest(nil), "digest"},
		{"name", echo + ", name: Echo, hooks: [response]", "name"},
		{"file outside", "{abi: 1, name: echo, file: ../echo.wasm, sha256: " + digest(nil) + ", hooks: [response]", "file"},
		{"file missing", "{abi: 1, name: echo, file: none.wasm, sha256: " + digest(nil) + ", hooks: [response]", "none.wasm"},
		{"hook", echo + ", name: echo, hooks: [reply]", "hook"},
		{"no hook", echo + ", name: echo", "hooks"},
		{"phase", pinned + ", phase: first", "phase"},
		{"isolation", pinned + ", isolation: none", "isolation"},
		{"policy on logs", echo + ", name: echo, hooks: [log], apply: policy", "apply"},
		{"abi", strings.Replace(pinned, "abi: 1", "abi: 2", 1), "abi"},
		{"too much memory", pinned + ", limits: {pages: 5000}", "pages"},
		{"too much fuel", pinned + ", limits: {fuel: 99000000000}", "fuel"},
		{"configuration without init", pinned + ", config: {a: 1}", "configuration"},
		{"bad schema", pinned + ", args: {type: 12}", "args"},
		{"no test file", pinned + ", tests: none/*.json", "tests"},
		{"module that must not load", d.put("bad.wasm", []byte("\x00asm\x01\x00\x00\x00")) + ", name: bad, hooks: [response]", "memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d.write(tt.module)
			s, err := transform.Open(t.Context(), d.manifest(), transform.Options{})
			if err == nil {
				s.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want something about %q", err, tt.want)
			}
		})
	}
}

func TestSignature(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := newDir(t)
	echo := d.put("echo.wasm", abuse.Echo())
	sign := func(text []byte) string { return base64.StdEncoding.EncodeToString(ed25519.Sign(key, text)) }
	for name, signature := range map[string]string{
		"good": sign(transform.SignedText(digest(abuse.Echo()))), "of another file": sign(transform.SignedText(digest(nil))), "missing": "",
	} {
		t.Run(name, func(t *testing.T) {
			d.write(echo + ", name: echo, hooks: [response], signature: '" + signature + "'")
			text, _ := os.ReadFile(d.manifest())
			os.WriteFile(d.manifest(), append(text, "signers: ["+base64.StdEncoding.EncodeToString(pub)+"]\n"...), 0o600)
			s, err := transform.Open(t.Context(), d.manifest(), transform.Options{})
			if (err == nil) != (name == "good") {
				t.Errorf("got %v", err)
			}
			if err == nil {
				s.Close()
			}
		})
	}
}

func TestVectors(t *testing.T) {
	d := newDir(t)
	echo := d.put("echo.wasm", abuse.Echo())
	for name, tt := range map[string]struct {
		vectors string
		ok      bool
	}{
		"right":  {`[{"name":"v","input":{"a":1}}]`, true},
		"wrong":  {`[{"name":"v","input":{"a":1},"want":{"a":2}}]`, false},
		"code":   {`[{"name":"v","input":{"a":1},"fails":"refused"}]`, false},
		"typo":   {`[{"name":"v","imput":{"a":1}}]`, false},
		"broken": {`[`, false},
	} {
		t.Run(name, func(t *testing.T) {
			os.WriteFile(filepath.Join(d.path, "v.json"), []byte(tt.vectors), 0o600)
			d.write(echo + ", name: echo, hooks: [response], tests: v.json")
			s, err := transform.Open(t.Context(), d.manifest(), transform.Options{})
			if (err == nil) != tt.ok {
				t.Errorf("got %v", err)
			}
			if err == nil {
				s.Close()
			}
		})
	}
}

func TestBreaker(t *testing.T) {
	now := time.Unix(1000, 0)
	d := newDir(t)
	d.write(d.put("trap.wasm", module(t, "trap")) + ", name: trap, hooks: [response]")
	s := d.open(transform.Options{Now: func() time.Time { return now }})
	g := s.Pin()
	defer g.Release()
	named := []transform.Obligation{{Name: "trap"}}
	fail := func(want guest.Code) {
		t.Helper()
		p, err := g.Plan(response(), named)
		if err != nil {
			t.Fatal(err)
		}
		out, steps, err := p.Apply([]byte(`{}`))
		var f *transform.Failure
		if !errors.As(err, &f) || f.Code != want || out != nil || steps[0].Result != string(want) {
			t.Fatalf("got %s, %+v, %v, want %s", out, steps, err, want)
		}
	}
	denied := func() {
		t.Helper()
		if _, err := g.Plan(response(), named); !errors.Is(err, transform.ErrQuarantined) {
			t.Fatalf("got %v", err)
		}
	}
	for range 5 {
		fail(guest.Trap)
	}
	denied()
	if st := s.Status(); st.Ready() || !st.Modules[len(st.Modules)-1].Quarantined && !st.Modules[0].Quarantined {
		t.Errorf("status %+v", st)
	}
	now = now.Add(time.Second)
	fail(guest.Trap) // the probe
	denied()
	now = now.Add(time.Second)
	denied() // the second quarantine is longer
	now = now.Add(time.Second)
	fail(guest.Trap)
}

func TestLargeInputIsNoReasonForQuarantine(t *testing.T) {
	d := newDir(t)
	d.write(d.put("spin.wasm", module(t, "infinite loop")) + ", name: spin, hooks: [response]")
	g := d.open(transform.Options{}).Pin()
	defer g.Release()
	large := []byte(`"` + strings.Repeat("x", 10_000) + `"`)
	for range 10 {
		p, err := g.Plan(response(), []transform.Obligation{{Name: "spin"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Apply(large); err == nil {
			t.Fatal("a loop without an end has ended")
		}
	}
}

// module returns one of the abuse modules.
func module(t testing.TB, name string) []byte {
	t.Helper()
	for _, m := range abuse.Modules() {
		if m.Name == name {
			return m.Bin
		}
	}
	t.Fatalf("no module %s", name)
	return nil
}

func TestAbuseFailsClosed(t *testing.T) {
	for _, m := range abuse.Modules() {
		t.Run(m.Name, func(t *testing.T) {
			d := newDir(t)
			d.write(d.put("m.wasm", m.Bin) + ", name: m, hooks: [response, log]")
			s, err := transform.Open(t.Context(), d.manifest(), transform.Options{})
			if (err != nil) != (m.Stage == abuse.Load) {
				t.Fatalf("load: %v", err)
			}
			if err != nil {
				return
			}
			defer s.Close()
			g := s.Pin()
			defer g.Release()
			p, err := g.Plan(response(), nil)
			if err != nil {
				t.Fatal(err)
			}
			out, _, err := p.Apply([]byte(`{"a":1}`))
			if m.Stage == abuse.Call && (err == nil || out != nil) {
				t.Errorf("response: got %s, %v", out, err)
			}
			line, keep := s.Log(nil, []byte(`{"msg":"a record"}`+"\n"))
			if !strings.Contains(string(line), "a record") || !keep {
				t.Errorf("log: got %s, %v", line, keep)
			}
			if m.Stage == abuse.Call && !strings.HasPrefix(string(line), `{"redactor":"failed:`) || !json.Valid(line) || !strings.HasSuffix(string(line), "}\n") {
				t.Errorf("log: got %s", line)
			}
		})
	}
}

func TestReload(t *testing.T) {
	d := newDir(t)
	echo := d.put("echo.wasm", abuse.Echo())
	d.write(echo + ", name: one, hooks: [response]")
	s := d.open(transform.Options{})
	old := s.Pin()
	d.write(echo+", name: two, hooks: [response]", echo+", name: two, hooks: [response]")
	if err := s.Reload(t.Context()); err == nil {
		t.Fatal("a manifest with a name twice was accepted")
	}
	if st := s.Status(); st.Generation != 1 || st.Error == "" || st.Ready() {
		t.Errorf("after a bad reload: %+v", st)
	}
	d.write(echo + ", name: two, hooks: [response]")
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(); st.Generation != 2 || !st.Ready() {
		t.Errorf("after a good reload: %+v", st)
	}
	p, err := old.Plan(response(), []transform.Obligation{{Name: "one"}})
	if err != nil {
		t.Fatal(err)
	}
	if out, _, err := p.Apply([]byte(`{}`)); err != nil || string(out) != "{}" {
		t.Errorf("the pinned generation gave %s, %v", out, err)
	}
	old.Release()
}

func TestClosedSetPlansNothing(t *testing.T) {
	s, err := transform.Open(t.Context(), "", transform.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	g := s.Pin()
	defer g.Release()
	if _, err := g.Plan(response(), nil); !errors.Is(err, transform.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if line, keep := s.Log(nil, []byte(`{"msg":"a record"}`)); !keep || string(line) != `{"msg":"a record"}` {
		t.Errorf("got %s, %v", line, keep)
	}
}

func TestWatch(t *testing.T) {
	d := newDir(t)
	echo := d.put("echo.wasm", abuse.Echo())
	d.write()
	s := d.open(transform.Options{})
	go s.Watch(t.Context(), time.Millisecond)
	d.write(echo + ", name: one, hooks: [response]")
	for deadline := time.Now().Add(10 * time.Second); s.Status().Generation < 2; {
		if time.Now().After(deadline) {
			t.Fatalf("no reload: %+v", s.Status())
		}
	}
}

func TestCacheDirectoryMustBePrivate(t *testing.T) {
	d := newDir(t)
	d.write(d.put("echo.wasm", abuse.Echo()) + ", name: echo, hooks: [response]")
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	if s, err := transform.Open(t.Context(), d.manifest(), transform.Options{CacheDir: open}); err == nil {
		s.Close()
		t.Error("a directory that others can read was accepted")
	}
	d.open(transform.Options{CacheDir: filepath.Join(open, "mine")})
}
