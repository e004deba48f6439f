package transform

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"portcullis/gateway/files"
	"portcullis/gateway/transform/guest"
)

// APIVersion is the version of the manifest format.
const APIVersion = "portcullis.wasm/v1"

// Manifest lists the modules that an operator trusts. An unknown field is an
// error.
type Manifest struct {
	APIVersion string `yaml:"apiVersion"`
	// Signers are ed25519 public keys in base64. If there is one, each module
	// must carry a signature of one of them.
	Signers []string `yaml:"signers,omitempty"`
	Modules []Entry  `yaml:"modules"`
	// dir is where the manifest was read; files are relative to it.
	dir string
}

// Entry is one module.
type Entry struct {
	Name string `yaml:"name"`
	File string `yaml:"file"`
	// SHA256 is the digest of the file in hex. Without one nothing is loaded.
	SHA256 string `yaml:"sha256"`
	// Signature is an ed25519 signature of [SignedText] in base64.
	Signature string   `yaml:"signature,omitempty"`
	ABI       int      `yaml:"abi"`
	Hooks     []string `yaml:"hooks"`
	// Phase and Priority give the place in the order; the name breaks ties.
	Phase    string `yaml:"phase,omitempty"`
	Priority int    `yaml:"priority,omitempty"`
	// Select limits a module to operations, mounts and subjects.
	Select Select `yaml:"select,omitempty"`
	// Apply is "mandatory" (whatever the policy says) or "policy" (only when a
	// decision names it). The default is policy for the response hook alone.
	Apply     string         `yaml:"apply,omitempty"`
	Limits    Limits         `yaml:"limits,omitempty"`
	Isolation string         `yaml:"isolation,omitempty"`
	WASI      string         `yaml:"wasi,omitempty"`
	Config    map[string]any `yaml:"config,omitempty"`
	// Args is the JSON Schema of the arguments that a decision may give.
	Args map[string]any `yaml:"args,omitempty"`
	// Shape is what a module of the response hook makes of a result: "same", "masked"
	// (the default: values may have become texts, or be missing) or "other".
	Shape string `yaml:"shape,omitempty"`
	// Meta names what a module gets of the caller in the meta part of its input, beside
	// the operation and the mount: subject, roles and tenant. It is told no more than it
	// needs, and nothing by default.
	Meta []string `yaml:"meta,omitempty"`
	// Logs lets a module log a few lines a call, without anything of its document.
	Logs bool `yaml:"logs,omitempty"`
	// Counters are the names under which a module may count.
	Counters []string `yaml:"counters,omitempty"`
	// Tests is a pattern of files with test vectors, run before the module serves.
	Tests string `yaml:"tests,omitempty"`
}

// Select holds patterns in which * stands for any text. An empty list matches
// everything. Log records are not selected: a log module sees all of them.
type Select struct {
	Operations []string `yaml:"operations,omitempty"`
	Mounts     []string `yaml:"mounts,omitempty"`
	Subjects   []string `yaml:"subjects,omitempty"`
}

// Limits override the defaults; zero keeps a default.
type Limits struct {
	// Fuel is the most that one call may use.
	Fuel int64 `yaml:"fuel,omitempty"`
	// Pages of 64 KiB of memory.
	Pages uint32 `yaml:"pages,omitempty"`
	// Input and Output are lengths in bytes.
	Input  int `yaml:"input,omitempty"`
	Output int `yaml:"output,omitempty"`
}

// ReadManifest reads and checks a manifest file. Every problem is reported.
func ReadManifest(path string) (*Manifest, error) {
	m, err := parse(path)
	if err != nil {
		return nil, err
	}
	return m, m.validate()
}

// ReadDraft reads a manifest whose digests are not written yet: each module has
// the digest of its file as it is now. Nothing must be served from a draft.
func ReadDraft(path string) (*Manifest, error) {
	m, err := parse(path)
	if err != nil {
		return nil, err
	}
	for i := range m.Modules {
		bin, err := ReadModule(m.Path(m.Modules[i].File))
		if err != nil {
			return nil, err
		}
		m.Modules[i].SHA256 = fmt.Sprintf("%x", sha256.Sum256(bin))
	}
	return m, m.validate()
}

// Path returns where a file of the manifest is.
func (m *Manifest) Path(name string) string { return filepath.Join(m.dir, name) }

func parse(path string) (*Manifest, error) {
	text, err := files.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m := &Manifest{dir: filepath.Dir(path)}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(m); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("manifest %s: %w", filepath.Base(path), err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("manifest %s: more than one document", filepath.Base(path))
	}
	return m, nil
}

func (m *Manifest) validate() error {
	var errs []error
	if m.APIVersion != APIVersion {
		errs = append(errs, fmt.Errorf("apiVersion is %q, want %q", m.APIVersion, APIVersion))
	}
	seen := map[string]bool{}
	for i := range m.Modules {
		e := &m.Modules[i]
		if seen[e.Name] {
			errs = append(errs, fmt.Errorf("module %s appears twice", e.Name))
		}
		seen[e.Name] = true
		if err := e.validate(); err != nil {
			errs = append(errs, fmt.Errorf("module %s: %w", e.Name, err))
		}
	}
	return errors.Join(errs...)
}

// ValidName tells whether a module can have the name: a-z, 0-9 and -, at most 63.
func ValidName(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func validDigest(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

func (e *Entry) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(ValidName(e.Name), "name must be a-z, 0-9 and -")
	check(e.File != "" && filepath.IsLocal(e.File), "file must be a path below the manifest")
	check(validDigest(e.SHA256), "sha256 is missing or not 64 hex digits (portcullis wasm pin writes it)")
	check(e.ABI == guest.Major, "abi must be %d", guest.Major)
	check(e.WASI == "" || e.WASI == "stub", "wasi can only be stub")
	check(phaseNumber(e.phase()) > 0, "phase %q is not one of normalise, mask, filter, encode, frame", e.Phase)
	check(len(e.Hooks) > 0, "hooks is empty")
	check(e.Limits.Fuel >= 0 && e.Limits.Fuel <= maxFuel, "limits.fuel is not between 0 and %d", maxFuel)
	check(e.Limits.Input >= 0 && e.Limits.Output >= 0, "limits are negative")
	check(validShape(e.Shape), "shape is not one of same, masked and other")
	check(e.Shape == "" || slices.Contains(e.Hooks, guest.Response.String()), "shape is for the response hook alone")
	for _, name := range e.Meta {
		check(slices.Contains([]string{"subject", "roles", "tenant"}, name), "meta %q is not one of subject, roles and tenant", name)
	}
	check(len(e.Meta) == 0 || !slices.Equal(e.Hooks, []string{guest.Log.String()}), "meta is for the request and response hooks: a log record has no caller")
	for _, h := range e.Hooks {
		_, err := guest.ParseHook(h)
		check(err == nil, "%v", err)
	}
	switch guest.Isolation(e.Isolation) {
	case "", guest.Reset, guest.Pooled, guest.Fresh:
	default:
		check(false, "isolation is not reset, pooled or fresh")
	}
	return errors.Join(append(errs, e.validateApply(), e.validateOutput())...)
}

// validateApply keeps decisions to results: logs and arguments have no decision
// that could name a module.
func (e *Entry) validateApply() error {
	switch e.Apply {
	case "", "mandatory":
		return nil
	case "policy":
		if e.responseOnly() {
			return nil
		}
		return errors.New("apply: policy is for the response hook alone")
	}
	return errors.New("apply is not mandatory or policy")
}

func (e *Entry) responseOnly() bool {
	return len(e.Hooks) == 1 && e.Hooks[0] == guest.Response.String()
}

// mandatory tells whether the module runs without being named.
func (e *Entry) mandatory() bool {
	return e.Apply == "mandatory" || e.Apply == "" && !e.responseOnly()
}

// configJSON is what init gets: nothing, or the object with sorted keys.
func (e *Entry) configJSON() ([]byte, error) {
	if len(e.Config) == 0 {
		return nil, nil
	}
	return json.Marshal(e.Config)
}
