package policycmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"portcullis/gateway/policy"
	"portcullis/gateway/policy/document"
)

// evalTimeout bounds an evaluation for a person, who can wait longer than a call.
const evalTimeout = 5 * time.Second

// maxLine bounds a line of a decision log.
const maxLine = 4 << 20

// Eval writes the policy's answer to an input.
func (p Policy) Eval(ctx context.Context, input []byte) error {
	in, err := p.question(input)
	if err != nil {
		return err
	}
	prog, err := p.compile(ctx)
	if err != nil {
		return err
	}
	out, err := prog.Decide(ctx, &in, evalTimeout)
	if err != nil {
		return err
	}
	if out.Reasons == nil {
		out.Reasons = []document.Reason{}
	}
	if out.Obligations.Transforms == nil {
		out.Obligations.Transforms = []document.Transform{}
	}
	enc := json.NewEncoder(p.Out)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// question is an input that was written by hand, or that of a record. What the
// catalogue says of an operation need not be written.
func (p Policy) question(raw []byte) (document.Input, error) {
	in, err := inputOf(raw)
	if err != nil {
		return in, err
	}
	o := p.Catalogue.Get(in.Action.Op)
	if o == nil {
		return in, fmt.Errorf("no operation is called %q", in.Action.Op)
	}
	if in.Action.Engine == "" && in.Action.Effect == "" {
		in.Action = document.Action{Op: o.Name, Engine: o.Engine, Effect: string(o.Effect), Public: o.Public}
	}
	return in, nil
}

// inputOf reads an input, or the input of a record of the decision log.
func inputOf(raw []byte) (document.Input, error) {
	var record struct {
		Input json.RawMessage `json:"input"`
	}
	if err := json.Unmarshal(raw, &record); err != nil {
		return document.Input{}, fmt.Errorf("read the input: %w", err)
	}
	if record.Input != nil {
		raw = record.Input
	}
	return document.ParseInput(raw)
}

// Find returns the record of a decision from a decision log.
func Find(log io.Reader, id string) ([]byte, error) {
	var found []byte
	err := records(log, func(line []byte, r policy.Record) error {
		if r.ID == id {
			found = append([]byte(nil), line...)
		}
		return nil
	})
	if found != nil {
		return found, nil // whatever the other lines are
	}
	if err == nil {
		err = errors.New("the log has no decision " + id)
	}
	return found, err
}

// maxProblems bounds how many unreadable lines are told of.
const maxProblems = 10

// records calls f for every decision of a log, in order. Other lines, as those of
// a shadow, are left out. What cannot be read, as a line that a crash cut off, is
// told of when the others have been seen.
func records(log io.Reader, f func(line []byte, r policy.Record) error) error {
	s := bufio.NewScanner(log)
	s.Buffer(make([]byte, 64<<10), maxLine)
	var problems []error
	for n := 1; s.Scan(); n++ {
		var r policy.Record
		err := json.Unmarshal(s.Bytes(), &r)
		if err == nil && r.Input != nil {
			err = f(s.Bytes(), r)
		}
		if err != nil && len(problems) < maxProblems {
			problems = append(problems, fmt.Errorf("line %d of the log: %w", n, err))
		}
	}
	return errors.Join(append(problems, s.Err())...)
}
