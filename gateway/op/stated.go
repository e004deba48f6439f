package op

import (
	"strings"
	"unicode/utf8"

	"portcullis/gateway/call"
)

// MaxReason bounds the reason that a caller states, in bytes.
const MaxReason = 256

// ParseReason checks why a caller says that it calls, a ticket or a sentence: one line
// of printable text. It goes into policy and evidence as it is. Errors are InvalidRequest.
func ParseReason(s string) (string, error) {
	if len(s) > MaxReason || !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
		return "", call.Errorf(call.InvalidRequest, "must be one line of at most %d bytes", MaxReason)
	}
	return s, nil
}

func unprintable(r rune) bool {
	return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029
}

// maxClient bounds what is kept of how a client names itself, in bytes.
const maxClient = 64

// ClientNamed is a client by what it says of itself, cut to a length and without what
// cannot be printed.
func ClientNamed(name, version, session string) Client {
	return Client{clean(name), clean(version), clean(session)}
}

func clean(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxClient)], "")
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return -1
		}
		return r
	}, s)
}
