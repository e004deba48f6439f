package transform

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/files"
	"portcullis/gateway/transform/guest"
)

// loadedModule is a module of the manifest that was loaded and tested, or a built-in.
type loadedModule struct {
	*Entry
	// digest is "sha256:" and 12 hex digits, or "native".
	digest string
	hooks  []guest.Hook
	// args is the schema of the arguments; nil takes none.
	args    *jsonschema.Resolved
	run     func(dst []byte, s *step, in guest.In) ([]byte, guest.Out, error)
	breaker *quarantine
	output  *output // nil for a module that says nothing
	metrics *moduleMetrics
}

// loader builds the units of one generation.
type loader struct {
	m      *Manifest
	engine *guest.Engine
	o      Options
	// keys are the decoded signers of the manifest.
	keys []ed25519.PublicKey
}

func (l *loader) signers() error {
	for _, s := range l.m.Signers {
		key, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return errors.New("a signer is not an ed25519 public key in base64")
		}
		l.keys = append(l.keys, key)
	}
	return nil
}

// SignedText is what a signature of a module signs: the format and its digest.
func SignedText(sha256hex string) []byte { return []byte(APIVersion + " sha256:" + sha256hex + "\n") }

// load makes a module ready to serve: digest, signature, checks, compilation,
// test vectors. A module that fails one of them is not used at all.
func (l *loader) load(e *Entry) (*loadedModule, error) {
	bin, err := l.read(e)
	if err != nil {
		return nil, err
	}
	u, err := newModule(e, l.o.Now)
	if err != nil {
		return nil, err
	}
	conf, err := e.GuestConfig()
	if err != nil {
		return nil, err
	}
	mod, err := l.engine.Load(bin, conf)
	if err != nil {
		return nil, err
	}
	u.run = func(dst []byte, _ *step, in guest.In) ([]byte, guest.Out, error) { return mod.Append(dst, in) }
	if err := l.test(u); err != nil {
		return nil, err
	}
	u.output = newOutput(e, l.o) // its tests say nothing
	return u, nil
}

// read returns the file if it is the one that was pinned.
func (l *loader) read(e *Entry) ([]byte, error) {
	bin, err := ReadModule(l.m.Path(e.File))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(bin); hex.EncodeToString(sum[:]) != e.SHA256 {
		return nil, fmt.Errorf("%s has digest %x, the manifest pins another", e.File, sum)
	}
	if len(l.keys) == 0 {
		return bin, nil
	}
	sig, err := base64.StdEncoding.DecodeString(e.Signature)
	signed := func(k ed25519.PublicKey) bool { return ed25519.Verify(k, SignedText(e.SHA256), sig) }
	if err != nil || !slices.ContainsFunc(l.keys, signed) {
		return nil, errors.New("signature is missing or of nobody in signers")
	}
	return bin, nil
}

// maxFile is the size above which a file is not even read.
const maxFile = 8 << 20

// ReadModule reads a file that is small enough to be a module.
func ReadModule(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxFile {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", path, maxFile)
	}
	return files.Read(path)
}

func newModule(e *Entry, now func() time.Time) (*loadedModule, error) {
	u := &loadedModule{Entry: e, digest: "sha256:" + e.SHA256[:12], breaker: newQuarantine(e.Name, now), metrics: newModuleMetrics(e.Name)}
	for _, name := range e.Hooks {
		h, err := guest.ParseHook(name)
		if err != nil {
			return nil, err
		}
		u.hooks = append(u.hooks, h)
	}
	var err error
	u.args, err = resolve(e.Args)
	return u, err
}

// resolve turns the schema of a manifest into one that can validate.
func resolve(schema map[string]any) (*jsonschema.Resolved, error) {
	if schema == nil {
		return nil, nil
	}
	text, err := json.Marshal(schema)
	if err != nil {
		return nil, fmt.Errorf("args: %w", err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("args: %w", err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		return nil, fmt.Errorf("args: %w", err)
	}
	return r, nil
}
