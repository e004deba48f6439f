package transform

import (
	"bytes"
	"errors"

	"portcullis/gateway/transform/guest"
)

// Log appends a record to dst as it may be written, and tells whether it may be: a module
// can drop a record. The base redactor has had its values one by one before they were put
// together, because over a whole record it could take the structure for a secret. Where a
// module fails, the record says so and stays as it came.
func (s *Set) Log(dst, line []byte) ([]byte, bool) {
	out, err := s.line(dst, line)
	if f := (*Failure)(nil); errors.As(err, &f) {
		if f.Code == guest.Refused {
			return dst, false
		}
		return append(dst, mark(out[len(dst):], f)...), true
	}
	return out, true
}

// Record is Log for evidence, which no module can drop.
func (s *Set) Record(dst, line []byte) []byte {
	out, err := s.line(dst, line)
	if f := (*Failure)(nil); errors.As(err, &f) {
		return append(dst, mark(out[len(dst):], f)...)
	}
	return out
}

// line appends the record, without an error after the modules.
func (s *Set) line(dst, line []byte) ([]byte, error) {
	before := len(dst)
	dst = append(dst, line...)
	g := s.Pin()
	defer g.Release()
	if len(g.logs) == 0 {
		return dst, nil
	}
	text, ended := bytes.CutSuffix(dst[before:], []byte("\n"))
	for _, u := range g.logs {
		out, _, err := u.apply(nil, guest.Log, text, maxFuel)
		if err != nil {
			return dst, err
		}
		text = out
	}
	dst = append(dst[:before], text...)
	if ended {
		dst = append(dst, '\n')
	}
	return dst, nil
}

// mark adds the failure as the first member of the record.
func mark(line []byte, f *Failure) []byte {
	note := `"redactor":"failed:` + string(f.Code) + `"`
	if len(line) == 0 || line[0] != '{' {
		return append([]byte("{"+note+"}"), line[len(bytes.TrimRight(line, "\n")):]...)
	}
	if rest := bytes.TrimLeft(line[1:], " "); len(rest) > 0 && rest[0] != '}' {
		note += ","
	}
	return append([]byte("{"+note), line[1:]...)
}
