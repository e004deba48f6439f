package token

import (
	"fmt"
	"strconv"
	"strings"

	"portcullis/gateway/auth/rule"
)

// body are the claims of a token (RFC 7519 section 4).
type body map[string]any

// find returns a claim. A claim of exactly that name goes before a path.
func (b body) find(name string) (any, bool) {
	if name == "" {
		return nil, false
	}
	if v, ok := b[name]; ok {
		return v, true
	}
	if !strings.HasPrefix(name, "/") {
		return dotted(b, name, maxDots)
	}
	var v any = map[string]any(b)
	for part := range strings.SplitSeq(name[1:], "/") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]; !ok {
			return nil, false
		}
	}
	return v, true
}

// maxDots bounds how often a path is divided.
const maxDots = 8

// dotted follows a path of names that may have dots themselves, the longest first:
// "resource_access.my.client.roles".
func dotted(m map[string]any, path string, left int) (any, bool) {
	if v, ok := m[path]; ok {
		return v, true
	}
	for end := strings.LastIndexByte(path, '.'); end > 0 && left > 0; end = strings.LastIndexByte(path[:end], '.') {
		below, ok := m[path[:end]].(map[string]any)
		if !ok {
			continue
		}
		if v, ok := dotted(below, path[end+1:], left-1); ok {
			return v, true
		}
	}
	return nil, false
}

// text returns a claim that is a string, empty when it is absent.
func (b body) text(name string) (string, error) {
	v, ok := b.find(name)
	if !ok {
		return "", nil
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%w: %s is not a string", rule.ClaimType, name)
	}
	return s, nil
}

// words returns a claim that is a list of strings, or one string that split
// divides.
func (b body) words(name string, split func(string) []string) ([]string, error) {
	v, ok := b.find(name)
	if !ok {
		return nil, nil
	}
	switch v := v.(type) {
	case string:
		return split(v), nil
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("%w: %s holds more than strings", rule.ClaimType, name)
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%w: %s is neither a string nor a list", rule.ClaimType, name)
}

func whole(s string) []string { return []string{s} }

// names returns a claim of roles or groups as the token says them: any texts, each
// once. What is odd in the list costs nobody the rest: numbers and truth values are
// taken as texts, and what is no text at all is left out. A list that holds nothing
// but such things is no list of names.
func (b body) names(name string) ([]string, error) {
	v, _ := b.find(name)
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		out, seen, odd := make([]string, 0, len(v)), make(map[string]bool, len(v)), 0
		for _, e := range v {
			s, isText := e.(string)
			if !isText {
				odd++
				s = scalarText(e)
			}
			if (isText || s != "") && !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
		if odd > 0 && odd == len(v) {
			return nil, fmt.Errorf("%w: %s holds no texts", rule.ClaimType, name)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%w: %s is neither a string nor a list", rule.ClaimType, name)
}

// scalarText is a number or truth value as a text, empty for everything else.
func scalarText(v any) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case fmt.Stringer:
		return v.String()
	}
	return ""
}
