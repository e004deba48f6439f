// Package export writes records of evidence as the events that a SIEM knows: OCSF, the
// Elastic Common Schema, and CEF.
package export

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"portcullis/gateway/audit/inspect"
)

// Format is the schema of an event.
type Format string

// The formats.
const (
	OCSF Format = "ocsf" // Open Cybersecurity Schema Framework 1.9, class API Activity
	ECS  Format = "ecs"  // Elastic Common Schema 8.17
	CEF  Format = "cef"  // ArcSight Common Event Format, version 0
)

// Formats are all formats.
func Formats() []Format { return []Format{OCSF, ECS, CEF} }

// Append appends the event of a record. line is the record as it stands in the evidence,
// without its newline, and version is the gateway's.
func Append(dst []byte, f Format, line []byte, version string) ([]byte, error) {
	r, err := inspect.ParseRecord(line)
	if err != nil {
		return dst, fmt.Errorf("no record of evidence: %w", err)
	}
	return appendEvent(dst, f, event{&r, line, version})
}

// event is a record that becomes one.
type event struct {
	*inspect.Record
	line    []byte
	version string
}

func appendEvent(dst []byte, f Format, e event) ([]byte, error) {
	var object any
	switch f {
	case OCSF:
		object = e.ocsf()
	case ECS:
		object = e.ecs()
	case CEF:
		return e.cef(dst), nil
	default:
		return dst, fmt.Errorf("unknown format %q", f)
	}
	raw, err := json.Marshal(object)
	return append(dst, raw...), err
}

// Export says which records become events.
type Export struct {
	Files   inspect.Files
	Want    inspect.Filter
	Format  Format
	Version string // the gateway's
}

// Write writes an event a line.
func (x Export) Write(out io.Writer) error {
	var buf []byte
	x.Files.Since, x.Files.Until = x.Want.Since, x.Want.Until
	return x.Files.Each(func(r *inspect.Record, line []byte) error {
		if !x.Want.Match(r) {
			return nil
		}
		var err error
		if buf, err = appendEvent(buf[:0], x.Format, event{r, line, x.Version}); err != nil {
			return err
		}
		_, err = out.Write(append(buf, '\n'))
		return err
	})
}

// action is the operation, or for what is none the type of record.
func (e event) action() string {
	switch {
	case e.Type == "upkeep":
		return "vault." + e.Method
	case e.Op != "":
		return e.Op
	}
	return "audit." + e.Type
}

// result is whether a call was good: success, failure, or unknown while nobody knows.
func (e event) result() string {
	switch {
	case e.Type == "refusal" || e.Type == "refusals":
		return "failure"
	case e.Code == "ok":
		return "success"
	case e.Code != "":
		return "failure"
	}
	return "unknown"
}

// damaged tells whether a record says that evidence is missing.
func (e event) damaged() bool {
	switch e.Type {
	case "torn", "gap", "truncated", "resumed":
		return true
	}
	return false
}

// sentence is the event for people.
func (e event) sentence() string {
	who := e.Who()
	if who == "" {
		who = "the gateway"
	}
	s := fmt.Sprintf("%s: %s", e.Type, who)
	if e.Type != "upkeep" && e.Op == "" {
		return strings.TrimSuffix(s, ": the gateway")
	}
	s += " " + e.action()
	if p := e.FullPath(); p != "" {
		s += " " + p
	}
	if e.Code != "" {
		s += ": " + e.Code
	}
	return s
}

// sum is the SHA-256 of the line, which the next line names.
func (e event) sum() string {
	sum := sha256.Sum256(e.line)
	return hex.EncodeToString(sum[:])
}

// object is a JSON object that has no empty members.
type object map[string]any

func (o object) put(name string, v any) object {
	switch v := v.(type) {
	case string:
		if v == "" {
			return o
		}
	case int:
		if v == 0 {
			return o
		}
	case []string:
		if len(v) == 0 {
			return o
		}
	case object:
		if len(v) == 0 {
			return o
		}
	}
	o[name] = v
	return o
}
