package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// proofFile is a proof as it is written. Paths of neighbours have most hashes in common,
// so each hash is there once.
type proofFile struct {
	Checkpoint string       `json:"checkpoint"`
	Hashes     []byte       `json:"hashes"` // one behind the other, 32 bytes each
	Lines      []provedLine `json:"lines"`
}

type provedLine struct {
	Line lineText `json:"line"`
	Leaf int64    `json:"leaf"`
	Path []int    `json:"path"` // which of the hashes, from the leaf to the root
}

// MarshalJSON implements json.Marshaler.
func (p Proof) MarshalJSON() ([]byte, error) {
	f := proofFile{Checkpoint: p.Checkpoint, Lines: []provedLine{}}
	for _, l := range p.Lines {
		out := provedLine{Line: lineText(l.Line), Leaf: l.Leaf, Path: []int{}}
		for _, h := range l.Path {
			out.Path = append(out.Path, f.add(h))
		}
		f.Lines = append(f.Lines, out)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(f)
	return bytes.TrimSpace(b.Bytes()), err
}

// add returns which of the hashes one is.
func (f *proofFile) add(h tlog.Hash) int {
	n := len(f.Hashes) / tlog.HashSize
	for i := range n {
		if bytes.Equal(f.hash(i), h[:]) {
			return i
		}
	}
	f.Hashes = append(f.Hashes, h[:]...)
	return n
}

func (f *proofFile) hash(n int) []byte { return f.Hashes[n*tlog.HashSize : (n+1)*tlog.HashSize] }

var errHashes = errors.New("the proof names a hash that it does not have")

// UnmarshalJSON implements json.Unmarshaler.
func (p *Proof) UnmarshalJSON(raw []byte) error {
	var f proofFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return err
	}
	*p = Proof{Checkpoint: f.Checkpoint}
	for _, l := range f.Lines {
		out := Proved{Line: string(l.Line), Leaf: l.Leaf}
		for _, n := range l.Path {
			if n < 0 || n >= len(f.Hashes)/tlog.HashSize {
				return errHashes
			}
			out.Path = append(out.Path, tlog.Hash(f.hash(n)))
		}
		p.Lines = append(p.Lines, out)
	}
	return nil
}

// lineText is a line of evidence in a proof. One that is a compact JSON object, as the
// log writes them, stands there as the object that it is, which is shorter than a text;
// where somebody has indented the proof it is made compact again.
type lineText string

// MarshalJSON implements json.Marshaler.
func (t lineText) MarshalJSON() ([]byte, error) {
	var compact bytes.Buffer
	if strings.HasPrefix(string(t), "{") && json.Compact(&compact, []byte(t)) == nil && compact.String() == string(t) {
		return []byte(t), nil
	}
	return json.Marshal(string(t))
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *lineText) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, (*string)(t))
	}
	var compact bytes.Buffer
	err := json.Compact(&compact, raw)
	*t = lineText(compact.String())
	return err
}
