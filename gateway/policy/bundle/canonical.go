package bundle

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
)

// appendJSON appends decoded JSON as json.Marshal writes it, names in order, without the
// cost of reflection over every value of large data.
func appendJSON(buf []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		buf = append(buf, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = append(appendText(buf, name), ':')
			buf = appendJSON(buf, v[name])
		}
		return append(buf, '}')
	case []any:
		buf = append(buf, '[')
		for i, e := range v {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = appendJSON(buf, e)
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
