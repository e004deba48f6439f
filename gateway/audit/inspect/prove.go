package inspect

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"portcullis/gateway/audit"
	"portcullis/gateway/audit/tree"
	"portcullis/gateway/files"
)

// Prove writes the proof of a line, named by its number, or of the lines of a
// decision, named by its id, to out. The lines are searched where they must be and the
// path is read from the tiles; only where that does not lead to a proof, all is read.
func Prove(out io.Writer, evidence []string, id string) error {
	if err := Exist(evidence); err != nil {
		return err
	}
	newest := evidence[len(evidence)-1]
	text, err := files.Read(audit.Beside(newest, "checkpoint"))
	if err != nil {
		return Usage{fmt.Errorf("no checkpoint lies beside the last file: %w", err)}
	}
	c, err := tree.ParseCheckpoint(text)
	if err != nil {
		return err
	}
	proof := tree.Proof{Checkpoint: string(text)}
	if !proveByTiles(&proof, c, evidence, id) {
		proof = tree.Proof{Checkpoint: string(text)}
		if err := proveByReading(&proof, c, evidence, id); err != nil {
			return err
		}
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return e.Encode(proof)
}

// proveByTiles makes the proof from the tiles. It reports false when it could not.
func proveByTiles(proof *tree.Proof, c tree.Checkpoint, files []string, id string) bool {
	lines, err := locate(files, id)
	if err != nil || len(lines) == 0 {
		return false
	}
	tiles := tree.Tiles(audit.Beside(files[len(files)-1], "tiles"))
	for _, l := range lines {
		if l.Seq > c.Seq {
			continue // not signed yet
		}
		leaf := c.Size - 1 - int64(c.Seq-l.Seq) // unless lines are missing in between
		path, err := tiles.Prove(c, leaf)
		if err != nil || tlog.CheckRecord(path, c.Size, c.Root, leaf, tree.Leaf(sha256.Sum256(l.Text))) != nil {
			return false
		}
		proof.Lines = append(proof.Lines, tree.Proved{Line: string(l.Text), Leaf: leaf, Path: path})
	}
	return len(proof.Lines) > 0
}

// proveByReading follows the chain from line 1.
func proveByReading(proof *tree.Proof, c tree.Checkpoint, files []string, id string) error {
	p := prover{id: id, size: c.Size}
	p.seq, _ = strconv.ParseUint(id, 10, 64)          // an id of a decision is no number
	v := Verifier{Each: p.line, AllowUnchained: true} // the proof is of a line of the chain
	for _, f := range files {
		if err := v.File(f); err != nil {
			return err
		}
	}
	if v.First > 1 {
		return Usagef("the tree begins with line 1: give all files, oldest first")
	}
	if len(p.lines) == 0 {
		return Usagef("no line up to number %d, which the newest checkpoint signs, has the number or the decision %s", c.Seq, id)
	}
	for _, l := range p.lines {
		path, err := p.tree.Prove(c.Size, l.leaf)
		if err != nil {
			return err
		}
		proof.Lines = append(proof.Lines, tree.Proved{Line: l.text, Leaf: l.leaf, Path: path})
	}
	return nil
}

type prover struct {
	id    string
	seq   uint64
	size  int64
	tree  tree.Full
	lines []leafLine
}

type leafLine struct {
	text string
	leaf int64
}

func (p *prover) line(l Line) error {
	if p.tree.Size == p.size {
		return nil
	}
	if l.Seq == p.seq || p.seq == 0 && strings.Contains(string(l.Text), p.id) && decisionOf(l.Text) == p.id {
		p.lines = append(p.lines, leafLine{string(l.Text), p.tree.Size})
	}
	return p.tree.Add(l.Sum)
}

func decisionOf(line []byte) string {
	r, err := ParseRecord(line)
	if err != nil {
		return ""
	}
	return r.DecisionID
}

// VerifyProof checks a proof with the public key alone, and writes what it proves.
func VerifyProof(out io.Writer, name, key string) error {
	raw, err := files.Input(name)
	if err != nil {
		return Usage{err}
	}
	v, err := publicKeys(key, []string{name})
	if err != nil {
		return err
	}
	if v == nil {
		return Usagef("give the public key with --key FILE, as `portcullis audit key` printed it")
	}
	var p tree.Proof
	if err := json.Unmarshal(raw, &p); err != nil {
		return fmt.Errorf("%s is no proof: %w", name, err)
	}
	c, err := p.Check(v)
	if err != nil {
		return err
	}
	for _, l := range p.Lines {
		fmt.Fprintln(out, l.Line)
	}
	fmt.Fprintf(out, "proved: in the tree of %d lines that was signed at %s\n", c.Size, c.Time.Format("2006-01-02 15:04:05Z"))
	return nil
}
