package wasmcmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"portcullis/gateway/transform"
	"portcullis/gateway/transform/guest"
)

// Test runs what the modules of a manifest must stand: their test vectors, the
// same answer from every kind of isolation, and hostile inputs. Digests need not
// be written yet. The path is a manifest, a directory with a manifest.yaml, or a
// single module, which then has the response hook.
func Test(ctx context.Context, w io.Writer, path string, known transform.Known) error {
	m, err := draft(path)
	if err == nil {
		err = m.CheckSelectors(known)
	}
	if err != nil {
		return oneLine(err)
	}
	engine, err := guest.NewEngine(ctx, "")
	if err != nil {
		return oneLine(err)
	}
	defer func() { _ = engine.Close() }()
	failed := 0
	for i := range m.Modules {
		t := &tester{w: w, engine: engine, m: m, e: &m.Modules[i]}
		if err := t.run(); err != nil {
			fmt.Fprintf(w, "FAIL  %s: %v\n", t.e.Name, oneLine(err))
			failed++
			continue
		}
		if t.vectors == 0 {
			fmt.Fprintf(w, "WARN  %s: there are no test vectors, so nothing says what it is to do (tests: in the manifest)\n", t.e.Name)
		}
		fmt.Fprintf(w, "ok    %s: %d vectors, %d hostile inputs, worst fuel %d\n", t.e.Name, t.vectors, t.hostile, t.worst)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d modules failed", failed, len(m.Modules))
	}
	return nil
}

func draft(path string) (*transform.Manifest, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, "manifest.yaml")
	}
	if filepath.Ext(path) != ".wasm" {
		return transform.ReadDraft(path)
	}
	bin, err := transform.ReadModule(path)
	if err != nil {
		return nil, err
	}
	e := entry(bin)
	e.Name, e.File, e.Hooks = filepath.Base(path), path, []string{guest.Response.String()}
	return &transform.Manifest{Modules: []transform.Entry{*e}}, nil
}

// tester looks at one module.
type tester struct {
	w                io.Writer
	engine           *guest.Engine
	m                *transform.Manifest
	e                *transform.Entry
	modules          map[guest.Isolation]*guest.Module
	vectors, hostile int
	worst            int64
}

func (t *tester) run() error {
	if err := t.load(); err != nil {
		return err
	}
	if t.e.Tests != "" {
		if err := transform.RunVectors(t.engine, t.m, t.e); err != nil {
			return err
		}
		vectors, err := transform.ReadVectors(t.m.Path(t.e.Tests))
		if err != nil {
			return err
		}
		t.vectors = len(vectors)
		for _, v := range vectors {
			if _, err := t.agree(v.Input, v.Args); err != nil {
				return fmt.Errorf("vector %q: %w", v.Name, err)
			}
		}
	}
	return t.attack()
}

func (t *tester) load() error {
	bin, err := transform.ReadModule(t.m.Path(t.e.File))
	if err != nil {
		return err
	}
	conf, err := t.e.GuestConfig()
	if err != nil {
		return err
	}
	t.modules = map[guest.Isolation]*guest.Module{}
	conf.Pool = 1
	for _, conf.Isolation = range []guest.Isolation{guest.Reset, guest.Pooled, guest.Fresh} {
		if t.modules[conf.Isolation], err = t.engine.Load(bin, conf); err != nil {
			return err
		}
	}
	return nil
}

// agree calls the module twice with each isolation; all must do the same.
func (t *tester) agree(payload, args []byte) (guest.Code, error) {
	hook, err := guest.ParseHook(t.e.Hooks[0])
	if err != nil {
		return "", err
	}
	var meta []byte
	if len(args) > 0 && hook != guest.Log {
		meta, _ = json.Marshal(map[string]json.RawMessage{"args": args})
	}
	var first *outcome
	for _, isolation := range []guest.Isolation{guest.Fresh, guest.Reset, guest.Reset, guest.Pooled, guest.Pooled} {
		got := observe(t.modules[isolation], t.e.Input(hook, meta, payload))
		t.worst = max(t.worst, got.fuel)
		if first == nil {
			first = got
		}
		if first.code != got.code || !bytes.Equal(first.out, got.out) {
			return "", fmt.Errorf("isolation %s gives another result than a fresh instance", isolation)
		}
	}
	if first.code == "" && first.changed && !transform.Valid(hook, first.out) {
		return "", errors.New("output is not valid for the hook")
	}
	return first.code, nil
}

// outcome is what one call did.
type outcome struct {
	out     []byte
	changed bool
	fuel    int64
	code    guest.Code
}

func observe(m *guest.Module, in guest.In) *outcome {
	out, used, err := m.Append(nil, in)
	o := &outcome{out: out, changed: used.Changed, fuel: used.Fuel}
	if f := (*guest.Fault)(nil); errors.As(err, &f) {
		o.code = f.Code
	}
	return o
}

// attack gives the module valid JSON that is made to break it. A refusal is a
// good answer, a trap or an empty tank is not.
func (t *tester) attack() error {
	for name, payload := range hostile() {
		code, err := t.agree([]byte(payload), nil)
		if err != nil {
			return fmt.Errorf("hostile input %q: %w", name, err)
		}
		if f := (&guest.Fault{Code: code}); code != "" && code != guest.BadConfig && f.Own() {
			return fmt.Errorf("hostile input %q: %w", name, f)
		}
		t.hostile++
	}
	return nil
}

func hostile() map[string]string {
	return map[string]string{
		"empty object":    `{}`,
		"white space":     " {\t\"a\" : [ ] ,\r \"b\" : { } } ",
		"scalar":          `12`,
		"empty string":    `""`,
		"null":            `null`,
		"deep lists":      strings.Repeat("[", 200) + strings.Repeat("]", 200),
		"deep objects":    strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200),
		"empty key":       `{"":{"":""}}`,
		"long key":        `{"` + strings.Repeat("k", 5000) + `":1}`,
		"backslashes":     `{"a":"` + strings.Repeat(`\\`, 2000) + `"}`,
		"quotes":          `{"a":"` + strings.Repeat(`\"`, 2000) + `"}`,
		"escapes":         `{"a":"\ud83d\ude00\ud83d\u0000\u0041"}`,
		"colons":          `{"a":"` + strings.Repeat(`\":`, 1000) + `"}`,
		"same key twice":  `{"password":"a","password":"b"}`,
		"many members":    `{` + strings.Repeat(`"password":"x",`, 300) + `"z":1}`,
		"long text":       `{"password":"` + strings.Repeat("x", 30000) + `"}`,
		"numbers":         `[-0,1e999,-1.5E-400,123456789012345678901234567890]`,
		"dots and dashes": `{"a":"` + strings.Repeat("a.-_@+", 1500) + `"}`,
	}
}
