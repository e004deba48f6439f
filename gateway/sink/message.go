package sink

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// The priority of a message (RFC 5424 section 6.2.1): facility 13, log audit, with
// severity 6 (informational), and 4 (warning) for what was refused.
const (
	facility = 13
	info     = facility*8 + 6
	warning  = facility*8 + 4
)

// appendMessage appends a line of evidence as a syslog message, behind its length
// (RFC 5424 section 6, RFC 6587 section 3.4.1). MSGID is the type of the record, MSG the
// event that the sink's format makes of it.
func (s *syslog) appendMessage(dst, line []byte) []byte {
	kind := printable(member(line, "type"))
	priority := info
	if strings.HasPrefix(kind, "refusal") {
		priority = warning
	}
	if kind == "" {
		kind = "-"
	}
	var head []byte
	head = append(head, '<')
	head = strconv.AppendInt(head, int64(priority), 10)
	head = append(head, ">1 "...)
	head = append(head, stamp(member(line, "time"))...)
	for _, field := range []string{s.host, "portcullis", s.pid, kind, "-"} {
		head = append(append(head, ' '), field...)
	}
	if s.form.name != "" {
		line = s.form.line(nil, line)
	}
	dst = strconv.AppendInt(dst, int64(len(head)+1+len(line)), 10)
	dst = append(append(dst, ' '), head...)
	return append(append(dst, ' '), line...)
}

// member is a short text member that a line has in its beginning, empty for none.
func member(line []byte, name string) string {
	line = line[:min(len(line), 512)]
	_, rest, ok := bytes.Cut(line, []byte(`"`+name+`":"`))
	value, _, closed := bytes.Cut(rest, []byte{'"'})
	if !ok || !closed {
		return ""
	}
	return string(value)
}

// stamp is a time as syslog takes it: at most microseconds (RFC 5424 section 6.2.3).
func stamp(text string) string {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

// printable is a text as a header field: printable ASCII without blanks, at most 32
// characters (MSGID; HOSTNAME may be longer).
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 32)]
}
