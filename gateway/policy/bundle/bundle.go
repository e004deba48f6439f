package bundle

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"portcullis/policies"
)

// Limits of what is read.
const (
	MaxFile  = 16 << 20
	MaxFiles = 4096

	maxArchive = 4 * MaxFile // of all that is packed in an archive
)

// File is one file of a bundle.
type File struct {
	Name string // with slashes, relative to where the bundle lies
	Text []byte
}

// Bundle is the policy of one place: rules, their tests, and data. It is not
// changed after it was read.
type Bundle struct {
	Place    string // what it was read from, for messages; empty for the embedded one
	Rules    []File // *.rego, by name
	Tests    []File // *_test.rego, by name
	Data     map[string]any
	DataFile File     // what Data was read from, nameless when there is none
	Sequence int64    // of a signed archive; 0 otherwise
	Unread   []string // files that look like rules or data and are neither

	undecoded bool // Data are left out
}

// Core returns the embedded bundle.
func Core() (*Bundle, error) {
	b, err := (&Bundle{}).readFS(policies.Files())
	if err != nil {
		return nil, fmt.Errorf("read the embedded policy: %w", err)
	}
	return b, nil
}

// Title is the place of a file for messages.
func (b *Bundle) Title(name string) string {
	if b.Place == "" {
		return "policies/" + name
	}
	return b.Place + "/" + name
}

// add sorts a file into the bundle.
func (b *Bundle) add(f File) error {
	switch {
	case strings.HasSuffix(f.Name, "_test.rego"):
		b.Tests = append(b.Tests, f)
	case strings.HasSuffix(f.Name, ".rego"):
		b.Rules = append(b.Rules, f)
	case isData(f.Name):
		if b.DataFile.Name != "" {
			return &Fault{f.Name, 1, "there is a " + b.DataFile.Name + " as well", "keep all data in one of them"}
		}
		b.DataFile = f
	}
	return nil
}

func isData(name string) bool {
	return name == "data.json" || name == "data.yaml" || name == "data.yml"
}

// wanted reports whether a file belongs to a bundle.
func wanted(name string) bool { return strings.HasSuffix(name, ".rego") || isData(name) }

// finish orders the files and decodes the data.
func (b *Bundle) finish() (err error) {
	byName := func(x, y File) int { return cmp.Compare(x.Name, y.Name) }
	slices.SortFunc(b.Rules, byName)
	slices.SortFunc(b.Tests, byName)
	if b.undecoded {
		return nil
	}
	b.Data, err = decodeData(b.DataFile)
	return err
}

func decodeData(f File) (map[string]any, error) {
	if f.Name == "" {
		return map[string]any{}, nil
	}
	if data, ok := decodePlain(f.Text); ok {
		return data, nil
	}
	return decodeYAML(f)
}

// decodeYAML decodes any document; JSON is YAML.
func decodeYAML(f File) (map[string]any, error) {
	var doc yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(f.Text))
	if err := d.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, yamlFault(f.Name, err)
	}
	var second yaml.Node
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, &Fault{f.Name, max(second.Line, 1), "a second document follows, which nobody would read", "write one document"}
	}
	return table(&doc, f.Name)
}

// Revision identifies rules and data: two short digests, so that a change of the
// data alone can be told from one of the rules.
func Revision(bundles ...*Bundle) string {
	rules, data := sha256.New(), sha256.New()
	for _, b := range bundles {
		for _, f := range b.Rules {
			frame(rules, []byte(f.Name))
			frame(rules, f.Text)
		}
		frame(data, appendJSON(make([]byte, 0, len(b.DataFile.Text)), b.Data))
	}
	short := func(sum []byte) string { return hex.EncodeToString(sum[:6]) }
	return short(rules.Sum(nil)) + "." + short(data.Sum(nil))
}

type writer interface{ Write([]byte) (int, error) }

// frame writes b behind its length, so that no two lists of files look alike.
func frame(w writer, b []byte) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(b)))
	_, _ = w.Write(n[:])
	_, _ = w.Write(b)
}

// Merge lays the data of the bundles over each other, the last one on top, and
// changes none of them. What the data call grants is the table of the tenant "",
// so that the policy looks every caller up in the same way.
func Merge(bundles ...*Bundle) map[string]any {
	out := map[string]any{}
	for _, b := range bundles {
		out = Overlay(out, b.Data)
	}
	if grants, ok := out["grants"]; ok {
		out = Overlay(out, map[string]any{"tenants": map[string]any{"": grants}})
		delete(out, "grants")
	}
	return out
}

// Overlay lays tables over each other, the second on top, and changes neither.
func Overlay(low, high map[string]any) map[string]any {
	out := maps.Clone(low)
	for k, v := range high {
		lm, lok := out[k].(map[string]any)
		hm, hok := v.(map[string]any)
		if lok && hok {
			v = Overlay(lm, hm)
		}
		out[k] = v
	}
	return out
}

// Digest identifies everything in the bundles, their tests included.
func Digest(bundles ...*Bundle) string {
	sum := sha256.New()
	for _, b := range bundles {
		if b == nil {
			continue
		}
		for _, f := range slices.Concat(b.Rules, b.Tests, []File{b.DataFile}) {
			frame(sum, []byte(f.Name))
			frame(sum, f.Text)
		}
		frame(sum, binary.BigEndian.AppendUint64(nil, uint64(b.Sequence)))
	}
	return hex.EncodeToString(sum.Sum(nil))
}
