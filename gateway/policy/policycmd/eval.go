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
	in, err := inputOf(input)
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
	enc := json.NewEncoder(p.Out)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
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
	if err == nil && found == nil {
		err = errors.New("the log has no decision " + id)
	}
	return found, err
}

// records calls f for every decision of a log, in order. Other lines, as those of
// a shadow, are left out.
func records(log io.Reader, f func(line []byte, r policy.Record) error) error {
	s := bufio.NewScanner(log)
	s.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; s.Scan(); n++ {
		var r policy.Record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			return fmt.Errorf("line %d of the log: %w", n, err)
		}
		if r.Input == nil {
			continue
		}
		if err := f(s.Bytes(), r); err != nil {
			return fmt.Errorf("line %d of the log: %w", n, err)
		}
	}
	return s.Err()
}
