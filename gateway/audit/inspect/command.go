package inspect

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"portcullis/gateway/audit"
	"portcullis/gateway/audit/tree"
	"portcullis/gateway/files"
)

// Usage is an error of whoever asks: a file that is not there, a key that is needed.
type Usage struct{ error }

// Usagef is such an error.
func Usagef(format string, args ...any) error { return Usage{fmt.Errorf(format, args...)} }

// Verify follows the chain through files, oldest first, and holds it to checkpoints:
// the newest one beside the last file, and one that somebody has kept elsewhere. Its
// error is a *Bad, or Usage.
type Verify struct {
	Files    []string
	Since    string // file of a kept checkpoint, empty for none
	Key      string // file of the public keys, empty for those beside the last file
	Out      io.Writer
	Progress func(lines int, bytes int64) // optional
	// AllowUnchained is that of Verifier.
	AllowUnchained bool
}

// Run verifies and says what was found.
func (c Verify) Run() error {
	if err := Exist(c.Files); err != nil {
		return err
	}
	marks, err := c.marks()
	if err != nil {
		return err
	}
	h := holder{marks: marks, last: Line{File: c.Files[len(c.Files)-1]}}
	v := Verifier{Progress: c.Progress, Each: h.line, AllowUnchained: c.AllowUnchained}
	for _, f := range c.Files {
		if err := v.File(f); err != nil {
			return err
		}
	}
	if err := errors.Join(v.End(), h.end()); err != nil {
		return err
	}
	if v.Lines == 0 {
		return Usagef("nothing is verified: no line of a chain is in the files; give those that the gateway writes (AUDIT_FILE), and see whether they were emptied or replaced")
	}
	c.report(v.Verified, marks)
	return nil
}

// mark is a checkpoint that the chain is held to.
type mark struct {
	tree.Checkpoint
	name    string
	outside bool // somebody kept it away from the gateway
	met     bool
}

func (c Verify) marks() (all []*mark, err error) {
	keys, err := publicKeys(c.Key, c.Files)
	if err != nil {
		return nil, err
	}
	beside := audit.Beside(c.Files[len(c.Files)-1], "checkpoint")
	for _, m := range []*mark{{name: c.Since, outside: true}, {name: beside}} {
		if m.name == "" {
			continue
		}
		text, err := files.Input(m.name)
		if errors.Is(err, os.ErrNotExist) && !m.outside {
			continue
		}
		if err != nil {
			return nil, Usage{err}
		}
		if keys == nil {
			if m.outside {
				return nil, Usagef("--since needs the public key: give --key FILE, as `portcullis audit key` printed it")
			}
			continue
		}
		if _, err := tree.ParseCheckpoint(text); err != nil {
			return nil, Usagef("%s: %v, as `portcullis audit checkpoint` prints it", m.name, err)
		}
		if m.Checkpoint, err = tree.OpenCheckpoint(text, keys); err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		all = append(all, m)
	}
	return all, nil
}

// publicKeys reads the public keys of a file. Without one it takes those beside the last
// file, and that of the key there; it is nil when there are none.
func publicKeys(name string, evidence []string) (note.Verifiers, error) {
	if name == "" {
		return keysBeside(evidence[len(evidence)-1])
	}
	raw, err := files.Input(name)
	if err != nil {
		return nil, Usage{err}
	}
	v, err := tree.Public(raw)
	if err != nil {
		return nil, Usagef("%s: %v", name, err)
	}
	return v, nil
}

func keysBeside(file string) (note.Verifiers, error) {
	keys, err := Keys(file, "")
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, Usage{err}
	}
	v, err := tree.Public([]byte(strings.Join(keys, "\n")))
	if err != nil {
		return nil, Usagef("%s: %v", audit.Beside(file, "public"), err)
	}
	return v, nil
}

// Keys are the verifier keys of a file of evidence: those beside it, and the one of the
// private key, which lies in a file of its own or beside the evidence. Its error is that
// of the private key where there are none.
func Keys(file, private string) (keys []string, err error) {
	raw, err := files.Read(audit.Beside(file, "public"))
	if err != nil && !absent(err) {
		return nil, err
	}
	keys = strings.Fields(string(raw))
	key, err := tree.PublicOf(audit.Config{Path: file, SignKey: private}.KeyFile())
	switch {
	case err == nil && !slices.Contains(keys, key):
		return append(keys, key), nil
	case err == nil, len(keys) > 0 && private == "" && absent(err):
		return keys, nil
	}
	return nil, err
}

// absent tells whether a file is not there for whoever asks.
func absent(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission)
}

// holder holds lines to checkpoints.
type holder struct {
	marks []*mark
	tree  tree.Frontier
	first uint64
	last  Line
}

func (h *holder) line(l Line) error {
	if h.first == 0 {
		h.first = l.Seq
	}
	h.last = l
	h.tree.Add(l.Sum)
	for _, m := range h.marks {
		if m.Seq != l.Seq {
			continue
		}
		m.met = true
		if l.Sum != m.Last {
			return &Bad{l.File, l.N, fmt.Sprintf("the line is not the one that %s signs, so this or an earlier line was rewritten", m.name)}
		}
		if h.first == 1 && h.tree.Size == m.Size && h.tree.Root() != m.Root {
			return &Bad{l.File, l.N, "the lines up to here are not those that " + m.name + " signs"}
		}
	}
	return nil
}

// end tells whether lines are missing that a checkpoint signs. One that was given is
// held to a line: a chain that does not reach back to it may be another one.
func (h *holder) end() error {
	for _, m := range h.marks {
		switch {
		case m.met:
		case m.Seq > h.last.Seq:
			return &Bad{h.last.File, h.last.N + 1, fmt.Sprintf("the end was cut off: %s signs line %d, and the files end with line %d", m.name, m.Seq, h.last.Seq)}
		case m.outside:
			return Usagef("%s signs line %d, and the files begin with line %d, so it proves nothing about them: give the older files as well, or a newer checkpoint", m.name, m.Seq, h.first)
		}
	}
	return nil
}

func (c Verify) report(v Verified, marks []*mark) {
	fmt.Fprintf(c.Out, "good: %d lines in %d files, numbers %d to %d\n", v.Lines, v.Files, v.First, v.Last)
	if v.Torn > 0 {
		fmt.Fprintf(c.Out, "%d lines were cut off by a crash; the record behind each says so\n", v.Torn)
	}
	if v.Unchained > 0 {
		fmt.Fprintf(c.Out, "%d lines before the chain are not proved by it (--allow-unchained): they can be anybody's\n", v.Unchained)
	}
	if v.First > 1 {
		fmt.Fprintf(c.Out, "the lines before number %d were not given\n", v.First)
	}
	for _, m := range marks {
		if m.outside && m.met {
			fmt.Fprintf(c.Out, "%s, signed at %s, holds up to line %d; what follows is anchored by nothing outside\n", m.name, m.Time.Format("2006-01-02 15:04:05Z"), m.Seq)
			return
		}
	}
	if len(marks) == 0 {
		fmt.Fprintln(c.Out, "nothing is signed: no checkpoint lies beside the last file, or its key was not given")
	}
	fmt.Fprintf(c.Out, "nothing outside anchors the chain from line %d on: keep checkpoints elsewhere (portcullis audit checkpoint) and give one with --since\n", v.First)
}
