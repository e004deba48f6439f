package export

import (
	"strconv"
	"strings"
	"unicode"
)

// cef appends the event in ArcSight's Common Event Format, version 0 (OpenText,
// "ArcSight Common Event Format Implementation Standard").
func (e event) cef(dst []byte) []byte {
	dst = append(dst, "CEF:0|Portcullis|Portcullis|"...)
	version := e.version
	if version == "" {
		version = "0"
	}
	severity := []string{"0", "2", "4", "6", "9"}[e.severity()]
	for i, field := range []string{version, e.Type + ":" + e.action(), e.sentence(), severity} {
		if i > 0 {
			dst = append(dst, '|')
		}
		dst = append(dst, escape(field, `\|`, ' ')...)
	}
	dst = append(dst, '|')
	x := extension{dst, true}
	x.put("rt", strconv.FormatInt(e.Time.UnixMilli(), 10))
	x.put("suser", e.Who())
	x.put("sntdom", e.Tenant)
	x.put("src", e.SourceIP)
	x.put("act", e.action())
	x.put("outcome", e.result())
	x.put("reason", e.Code)
	x.put("externalId", e.correlation())
	x.put("app", e.Transport)
	x.put("requestClientApplication", strings.TrimSpace(e.ClientName+" "+e.ClientVersion))
	x.put("filePath", e.FullPath())
	x.put("cnt", number(e.Count))
	x.labelled("cs1", "requestId", e.RequestID)
	x.labelled("cs2", "delivered", e.Deliver)
	x.labelled("cs3", "session", e.Session)
	x.labelled("cs4", "traceId", e.TraceID)
	x.labelled("cs5", "onBehalfOf", e.OnBehalfOf)
	x.labelled("cs6", "lineSha256", e.sum())
	x.labelled("cn1", "sequence", strconv.FormatUint(e.Seq, 10))
	x.labelled("cn2", "version", number(e.Version))
	return x.b
}

// escape puts a backslash before the special characters. A line end becomes the given
// character, or is written as in C when that is 0. What else a terminal or a reader of
// lines could take for more than text is a question mark.
func escape(s, special string, lineEnd rune) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case lineEnd != 0 && (c == '\r' || c == '\n'):
			b.WriteRune(lineEnd)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\n':
			b.WriteString(`\n`)
		case !unicode.IsPrint(c):
			b.WriteByte('?')
		default:
			if strings.ContainsRune(special, c) {
				b.WriteByte('\\')
			}
			b.WriteRune(c)
		}
	}
	return b.String()
}

type extension struct {
	b     []byte
	first bool
}

func (x *extension) put(key, value string) {
	if value == "" {
		return
	}
	if !x.first {
		x.b = append(x.b, ' ')
	}
	x.first = false
	x.b = append(x.b, key...)
	x.b = append(x.b, '=')
	x.b = append(x.b, escape(value, `\=`, 0)...)
}

func (x *extension) labelled(key, label, value string) {
	if value != "" {
		x.put(key+"Label", label)
		x.put(key, value)
	}
}
