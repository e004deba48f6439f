package cert

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"portcullis/gateway/auth/rule"
)

// maxDN bounds a distinguished name, in bytes.
const maxDN = 2048

// DNValue returns the one value of an attribute in a distinguished name (RFC 4514
// section 3), as proxies write it: "CN=bot,OU=ci,O=x". Escapes are undone, so a
// comma in a value never ends it. The form with slashes, quoted and hex-encoded
// values are refused: they have been read in too many ways.
func DNValue(dn, attribute string) (string, error) {
	if len(dn) > maxDN || !utf8.ValidString(dn) {
		return "", fmt.Errorf("%w: too long or not UTF-8", rule.DN)
	}
	var found []string
	for rest := dn; ; {
		name, value, next, err := readAttribute(rest)
		if err != nil {
			return "", err
		}
		if strings.EqualFold(name, attribute) {
			found = append(found, value)
		}
		if rest = next; rest == "" {
			break
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%w: %d times the attribute", rule.CertName, len(found))
	}
	return found[0], nil
}

// readAttribute reads "name=value" and what follows its separator.
func readAttribute(s string) (name, value, rest string, err error) {
	name, s, ok := strings.Cut(strings.TrimLeft(s, " "), "=")
	if !ok || !attributeName(name) {
		return "", "", "", fmt.Errorf("%w: attribute name", rule.DN)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ',', '+':
			if i+1 == len(s) {
				return "", "", "", fmt.Errorf("%w: ends in a separator", rule.DN)
			}
			return name, b.String(), s[i+1:], nil
		case '\\':
			char, used, err := unescape(s[i+1:])
			if err != nil {
				return "", "", "", err
			}
			b.WriteByte(char)
			i += used
		case '"', ';', '<', '>', 0:
			return "", "", "", fmt.Errorf("%w: a character that must be escaped", rule.DN)
		case '#':
			if b.Len() == 0 {
				return "", "", "", fmt.Errorf("%w: a hex-encoded value", rule.DN)
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return name, b.String(), "", nil
}

func attributeName(s string) bool {
	return s != "" && strings.TrimFunc(s, func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.'
	}) == ""
}

// unescape reads what follows a backslash: a special character or two hex digits.
func unescape(s string) (char byte, used int, err error) {
	if s != "" && strings.IndexByte(` "#+,;<=>\`, s[0]) >= 0 {
		return s[0], 1, nil
	}
	if len(s) >= 2 {
		if b, err := hex.DecodeString(s[:2]); err == nil {
			return b[0], 2, nil
		}
	}
	return 0, 0, fmt.Errorf("%w: a bad escape", rule.DN)
}
