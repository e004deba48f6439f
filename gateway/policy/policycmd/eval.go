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
	"portcullis/gateway/policy/program"
)

// evalTimeout bounds an evaluation for a person, who can wait longer than a call.
const evalTimeout = 5 * time.Second

// maxLine bounds a line of a decision log.
const maxLine = 4 << 20

// Eval writes the policy's answer to an input.
func (p Policy) Eval(ctx context.Context, input []byte) error {
	prog, err := p.compile(ctx)
	if err != nil {
		return err
	}
	q, err := p.questionOf(input)
	if err != nil {
		return err
	}
	in := q.in
	out := decide(ctx, prog, &in)
	if out.Reasons == nil {
		out.Reasons = []document.Reason{}
	}
	if out.RequiredScopes == nil {
		out.RequiredScopes = []string{}
	}
	if out.Obligations.Transforms == nil {
		out.Obligations.Transforms = []document.Transform{}
	}
	if p.Format == Text {
		return encode(p.Out, out) // what the gateway would get, as it is
	}
	return p.emit(output{value: out, results: refusals(prog, out)})
}

// decide is the policy's answer; one that fails is a denial, as it is in the gateway.
func decide(ctx context.Context, prog *program.Program, in *document.Input) document.Output {
	out, err := prog.Decide(ctx, in, evalTimeout)
	if err != nil {
		return program.Denied(err)
	}
	return out
}

// refusals are the reasons against a call, where the rules stand.
func refusals(prog *program.Program, out document.Output) (list []result) {
	for _, r := range out.Reasons {
		at := placeOf(prog, r.Rule)
		list = append(list, result{rule: r.Rule, level: "note", msg: r.Code + ": " + r.Msg, file: at.file, line: at.line})
	}
	return list
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

// maxProblems bounds how many unreadable lines are reported.
const maxProblems = 10

// records calls f for every decision of a log, in order. Other lines, as those of
// a shadow, are left out. What cannot be read, as a line that a crash cut off, is
// reported when the others have been seen, and so is a log without a line of a decision log.
func records(log io.Reader, f func(line []byte, r policy.Record) error) error {
	s := bufio.NewScanner(log)
	s.Buffer(make([]byte, 64<<10), maxLine)
	var problems []error
	n, known := 0, 0
	for s.Scan() {
		n++
		r, other, err := decision(s.Bytes())
		if err == nil && (r != nil || other) {
			known++
		}
		if err == nil && r != nil {
			err = f(s.Bytes(), *r)
		}
		if err != nil && len(problems) < maxProblems {
			problems = append(problems, fmt.Errorf("line %d of the log: %w", n, err))
		}
	}
	if n > 0 && known == 0 && len(problems) == 0 {
		problems = append(problems, fmt.Errorf("none of the %d lines is of a decision log: name the file of DECISION_LOG", n))
	}
	return errors.Join(append(problems, s.Err())...)
}

// decision reads a line of a decision log; nil for a line of another kind, whose fields
// of the same names may have other types. shadow is true for one that the log has as well.
func decision(line []byte) (r *policy.Record, shadow bool, err error) {
	var kind struct {
		Shadow string          `json:"shadow"`
		Input  json.RawMessage `json:"input"`
	}
	if err := object(line, &kind); err != nil || kind.Shadow != "" || kind.Input == nil {
		return nil, kind.Shadow != "", err
	}
	r = &policy.Record{}
	return r, false, json.Unmarshal(line, r)
}
