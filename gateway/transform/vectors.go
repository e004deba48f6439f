package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"portcullis/gateway/files"
	"portcullis/gateway/transform/guest"
)

// Vector is one test of a module: the input and what must come out. A file of
// vectors is a JSON array of them.
type Vector struct {
	Name string `json:"name"`
	// Hook is the module's first one when it is empty.
	Hook string `json:"hook,omitempty"`
	// Args are those of the decision.
	Args json.RawMessage `json:"args,omitempty"`
	// Caller is what the module gets of the caller, if the manifest asks for it.
	Caller struct {
		Subject string   `json:"subject,omitempty"`
		Roles   []string `json:"roles,omitempty"`
		Tenant  string   `json:"tenant,omitempty"`
	} `json:"caller,omitzero"`
	Input json.RawMessage `json:"input"`
	// Want is the output; without one the input must come back unchanged.
	Want json.RawMessage `json:"want,omitempty"`
	// Fails is the code with which the call must fail instead.
	Fails string `json:"fails,omitempty"`
}

// ReadVectors reads the files that match the pattern. None is an error: a test
// that is not there cannot fail.
func ReadVectors(pattern string) ([]Vector, error) {
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("tests: no file matches %s", filepath.Base(pattern))
	}
	var all []Vector
	for _, f := range names {
		text, err := files.Read(f)
		if err != nil {
			return nil, fmt.Errorf("tests: %w", err)
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.DisallowUnknownFields()
		var some []Vector
		if err := dec.Decode(&some); err != nil {
			return nil, fmt.Errorf("tests: %s: %w", filepath.Base(f), err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// test runs the vectors of a module before it serves.
func (l *loader) test(u *loadedModule) error {
	if u.Tests == "" {
		return nil
	}
	vectors, err := ReadVectors(l.m.Path(u.Tests))
	if err != nil {
		return err
	}
	for _, v := range vectors {
		if err := u.check(v); err != nil {
			return fmt.Errorf("test %q: %w", v.Name, err)
		}
	}
	return nil
}

// RunVectors loads a module of a manifest and runs its test vectors.
func RunVectors(engine *guest.Engine, m *Manifest, e *Entry) error {
	_, err := (&loader{m: m, engine: engine, o: Options{Now: time.Now}}).load(e)
	return err
}

// check runs one vector. Its errors name codes, not contents.
func (u *loadedModule) check(v Vector) error {
	hook := u.hooks[0]
	if v.Hook != "" {
		var err error
		if hook, err = guest.ParseHook(v.Hook); err != nil {
			return err
		}
	}
	input, err := compacted(v.Input)
	if err != nil {
		return err
	}
	s := &step{loadedModule: u}
	about := Call{Hook: hook, Op: "test", Mount: "test", Subject: v.Caller.Subject, Roles: v.Caller.Roles, Tenant: v.Caller.Tenant}
	if err := s.prepare(about, v.Args); err != nil {
		return err
	}
	out, _, err := s.apply(nil, hook, input, u.fuel(hook, len(input)))
	return v.compare(input, out, err)
}

func (v *Vector) compare(input, got []byte, err error) error {
	if f := (*Failure)(nil); errors.As(err, &f) {
		if string(f.Code) == v.Fails {
			return nil
		}
		return err
	}
	want := input
	if v.Want != nil {
		if want, err = compacted(v.Want); err != nil {
			return err
		}
	}
	switch got, err = compacted(got); {
	case err != nil:
		return err
	case v.Fails != "":
		return fmt.Errorf("must fail with %s", v.Fails)
	case !bytes.Equal(got, want):
		return fmt.Errorf("got %s, want %s", got, want)
	}
	return nil
}

func compacted(text []byte) ([]byte, error) {
	var b bytes.Buffer
	err := json.Compact(&b, text)
	return b.Bytes(), err
}
