package bundle

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// appendJSON appends decoded JSON as json.Marshal writes it, names in order, without the
// cost of reflection over every value of large data.
func appendJSON(buf []byte, v any) []byte { return new(canonical).append(buf, v) }

// canonical holds the names of the objects that are being written, the innermost last, so
// that each object does not need a list of its own.
type canonical struct{ names []string }

func (c *canonical) append(buf []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		return c.object(buf, v)
	case []any:
		buf = append(buf, '[')
		for i, e := range v {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = c.append(buf, e)
		}
		return append(buf, ']')
	case string:
		return appendText(buf, v)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 && v != 0 {
			return strconv.AppendInt(buf, int64(v), 10)
		}
	}
	raw, _ := json.Marshal(v) // decoded from JSON, so it can be encoded
	return append(buf, raw...)
}

func (c *canonical) object(buf []byte, v map[string]any) []byte {
	start := len(c.names)
	for name := range v {
		c.names = append(c.names, name)
	}
	names := c.names[start:]
	slices.Sort(names)
	buf = append(buf, '{')
	for i, name := range names {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(appendText(buf, name), ':')
		buf = c.append(buf, v[name])
	}
	c.names = c.names[:start]
	return append(buf, '}')
}

// appendText appends a text in quotes. What json.Marshal escapes is left to it.
func appendText(buf []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			raw, _ := json.Marshal(s)
			return append(buf, raw...)
		}
	}
	return append(append(append(buf, '"'), s...), '"')
}
